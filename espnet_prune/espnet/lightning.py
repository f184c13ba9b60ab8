"""ESPnet3's training, which asks no task for its optimizers, gives parameters their own rates."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from espnet_prune.encoder import ConfigError
from espnet_prune.espnet.objective import EncoderObjective
from espnet_prune.espnet.optimizers import parameter_groups


class _Group(dict[str, Any]):
    """An optimizer's group where ESPnet3 expects a parameter."""

    requires_grad = True


def adapt(host: ModuleType) -> None:
    """Let the ``ESPnetLightningModule`` of ``host`` optimize as ESPnet2's tasks do.

    The ``optimizer`` of a training is that of its YAML; gates, multipliers and, with
    ``model: ssl_lr``, the encoder become groups of it. Other trainings stay as they are.
    """
    module = host.ESPnetLightningModule
    module.configure_optimizers = _grouped(module.configure_optimizers)


def _grouped(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(original)
    def configure_optimizers(self: Any) -> Any:
        groups = parameter_groups(self.model, self.config.model.get("ssl_lr"))
        if len(groups) == 1:
            return original(self)
        _require_steps_counted(self)
        # ESPnet3 hands those of its parameters() that require gradients to the optimizer.
        self.parameters = lambda: map(_Group, groups)
        try:
            return original(self)
        finally:
            del self.parameters

    return configure_optimizers


def _require_steps_counted(module: Any) -> None:
    """Refuse what would optimize otherwise than asked, without a word."""
    config = module.config
    if config.get("optimizers") is not None:
        raise ConfigError(
            "expected one optimizer beside pruning_conf or ssl_lr, whose parameters have groups of "
            "their own, found optimizers; give optimizer and scheduler"
        )
    counted, batches = config.model.get("accum_grad", 1), config.trainer.accumulate_grad_batches
    if any(isinstance(part, EncoderObjective) for part in module.modules()) and counted != batches:
        raise ConfigError(
            f"expected model: accum_grad {batches}, which is trainer: accumulate_grad_batches, so "
            f"that pruning_conf: warmup_steps counts steps of the optimizer, found {counted}"
        )
