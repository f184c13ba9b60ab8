"""What a training of any task asks of its encoder besides the task: a budget, a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from espnet_prune.distillation import DistillationLoss, LayerwiseDistillation
from espnet_prune.encoder import ConfigError, EncoderOutput, SSLEncoder
from espnet_prune.encoder.typed import read_arguments, read_typed
from espnet_prune.espnet.teacher import Teacher
from espnet_prune.pruning import Pruner, PruningConfig


def build_pruner(
    encoder: SSLEncoder, pruning_conf: Mapping[str, Any], accum_grad: int
) -> Pruner | None:
    """The gates that ``--pruning_conf`` asks for; None if it is empty.

    Raises:
        ConfigError: see :class:`~espnet_prune.pruning.PruningConfig`.
    """
    if not pruning_conf:
        return None
    config = read_typed(PruningConfig, pruning_conf, "pruning_conf")
    # The target rises with every forward pass, of which a step has ``accum_grad``.
    return Pruner(encoder, replace(config, warmup_steps=config.warmup_steps * accum_grad))


def build_distillation(
    encoder: SSLEncoder, distill_conf: Mapping[str, Any]
) -> LayerwiseDistillation:
    """The loss between ``encoder`` and a teacher that ``--distill_conf`` asks for.

    Raises:
        ConfigError: a value of another type, an unknown name or a layer that does not exist.
    """
    given = {"width": encoder.config.embed_dim, **distill_conf}
    distillation = LayerwiseDistillation(
        **read_arguments(LayerwiseDistillation, given, "distill_conf")
    )
    last = len(encoder.config.layers)
    if max(distillation.layers) > last:
        raise ConfigError(
            f"distill_conf: expected layers up to {last}, found {list(distillation.layers)}"
        )
    return distillation


class EncoderObjective(nn.Module):
    """Terms of a loss that concern an encoder alone, beside the loss of the task it works for.

    The front end runs its encoder through this module; :meth:`add_to` then adds what that batch
    has to pay.

    Args:
        pruner: gates and budgets of the encoder, or None.
        distillation: the loss between the encoder and its teacher, or None.
        teacher: the encoder's teacher; given with ``distillation``.
    """

    def __init__(
        self,
        pruner: Pruner | None,
        distillation: LayerwiseDistillation | None = None,
        teacher: Teacher | None = None,
    ):
        super().__init__()
        self.pruner = pruner
        self.distillation = distillation
        self.teacher = teacher
        self._distance: DistillationLoss | None = None

    def forward(self, encoder: SSLEncoder, wavs: Tensor, lengths: Tensor) -> EncoderOutput:
        """The gated ``encoder`` on waveforms ``(B, T)`` of ``lengths`` ``(B,)`` samples.

        The gates are sampled once; the distance to the teacher is kept for :meth:`add_to`.
        """
        output = self.pruner(encoder, wavs, lengths) if self.pruner else encoder(wavs, lengths)
        if self.distillation and self.teacher:
            theirs = self.teacher(wavs, lengths)
            self._distance = self.distillation(output.hidden_states, theirs, output.lengths)
        return output

    def add_to(self, loss: Tensor, encoder: SSLEncoder) -> tuple[Tensor, dict[str, Tensor]]:
        """The ``loss`` of the task with this module's terms, and statistics of all terms.

        In training the budget's ramp moves on by a step.
        """
        total, stats = loss, {"loss_task": loss.detach()}
        distance, self._distance = self._distance, None
        if distance:
            total = total + distance.total
            stats |= {
                "loss_distill": distance.total.detach(),
                "l1": distance.l1.detach(),
                "cosine": distance.cosine.detach(),
            }
        if self.pruner:
            penalty = self.pruner.penalty(encoder)
            stats |= penalty.stats
            stats["loss_on_target"] = penalty.on_target(total)
            total = total + penalty.loss
        stats["loss"] = total.detach()
        return total, stats
