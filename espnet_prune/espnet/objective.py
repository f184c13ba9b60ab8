"""What a training of any task asks of its encoder besides the task: a budget, a teacher."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.utils.nested_dict_action import NestedDictAction
from torch import Tensor, nn

from espnet_prune.distillation import DistillationLoss, LayerwiseDistillation
from espnet_prune.encoder import ConfigError, EncoderOutput, Featurizer, SSLEncoder
from espnet_prune.encoder.typed import read_arguments, read_typed
from espnet_prune.espnet.schedules import at_own_rate
from espnet_prune.espnet.teacher import Teacher
from espnet_prune.inference import PRECISIONS
from espnet_prune.pruning import Pruner, PruningConfig

OPTIONS = ("pruning_conf", "distill_conf", "teacher", "teacher_precision")
"""What :func:`add_objective_arguments` adds."""


def add_objective_arguments(parser: argparse.ArgumentParser) -> None:
    """``--pruning_conf``, ``--distill_conf``, ``--teacher`` and ``--teacher_precision``."""
    group = parser.add_argument_group("Pruning and distillation of the encoder")
    group.add_argument(
        "--pruning_conf",
        action=NestedDictAction,
        default={},
        help="Keyword arguments of PruningConfig: gate, units, budget, target, warmup_steps, ...; "
        "empty: no pruning",
    )
    group.add_argument(
        "--distill_conf",
        action=NestedDictAction,
        default={},
        help="Keyword arguments of LayerwiseDistillation: layers, l1_weight, cosine_weight, "
        "projection_groups; beside a task, empty: the task's loss alone",
    )
    group.add_argument("--teacher", help="Folder of the encoder to be distilled from")
    group.add_argument(
        "--teacher_precision",
        choices=PRECISIONS,
        default="float32",
        help="What the teacher computes in; bfloat16 is faster and less exact",
    )


def build_objective(args: argparse.Namespace, encoder: SSLEncoder) -> EncoderObjective:
    """What the options of :func:`add_objective_arguments` ask of ``encoder``.

    Raises:
        ConfigError: a value of another type, an unknown name or a layer that does not exist.
        CheckpointError: there is no such teacher.
    """
    pruner = build_pruner(encoder, args.pruning_conf, args.accum_grad)
    if not args.teacher:
        return EncoderObjective(pruner)
    teacher = Teacher(SSLEncoder.from_pretrained(args.teacher), args.teacher_precision)
    return EncoderObjective(pruner, build_distillation(encoder, args.distill_conf), teacher)


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

    A featurizer runs its encoder through this module; :meth:`add_to` then adds what that batch
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

    def forward(self, encoder: SSLEncoder, wavs: Tensor, lengths: Tensor | None) -> EncoderOutput:
        """The gated ``encoder`` on waveforms ``(B, T)`` of ``lengths`` ``(B,)`` samples.

        The gates are sampled once; the distance to the teacher is kept for :meth:`add_to`.
        """
        output = self.pruner(encoder, wavs, lengths) if self.pruner else encoder(wavs, lengths)
        if self.distillation and self.teacher:
            theirs = self.teacher(wavs, lengths)
            self._distance = self.distillation(output.hidden_states, theirs, output.lengths)
        return output

    def add_to(self, loss: Tensor | None, encoder: SSLEncoder) -> tuple[Tensor, dict[str, Tensor]]:
        """The ``loss`` of the task with this module's terms, and statistics of all terms.

        In training the budget's ramp moves on by a step. Without a task, what is left is
        distillation.
        """
        stats = {} if loss is None else {"loss_task": loss.detach()}
        distance, self._distance = self._distance, None
        total = loss
        if distance:
            total = distance.total if total is None else total + distance.total
            stats |= {
                "loss_distill": distance.total.detach(),
                "l1": distance.l1.detach(),
                "cosine": distance.cosine.detach(),
            }
        if total is None:
            raise ValueError("expected a task or a teacher to learn from, found neither")
        if self.pruner:
            penalty = self.pruner.penalty(encoder)
            stats |= penalty.stats
            stats["loss_on_target"] = penalty.on_target(total)
            total = total + penalty.loss
        stats["loss"] = total.detach()
        return total, stats

    def attach(self, model: nn.Module, owner: Owner) -> None:
        """Join the training of ``model``, an ESPnet model that returns loss, stats and weight.

        Args:
            model: pays what the encoder of ``owner`` owes.
            owner: the part of ``model`` in whose state dict this module goes, as ``objective``.
        """

        def add(_: nn.Module, __: Any, output: tuple[Tensor, dict, Tensor]) -> Any:
            loss, stats, weight = output
            loss, more = self.add_to(loss, owner.featurizer.encoder)
            return loss, {**stats, **force_gatherable(more, loss.device)}, weight

        owner.objective = self
        owner.featurizer.through = self.forward
        model.register_forward_hook(add)


class Owner(Protocol):
    """A module with a featurizer, in whose state dict the objective goes."""

    objective: EncoderObjective | None

    @property
    def featurizer(self) -> Featurizer:
        """The encoder and its weighted layers."""
        ...


def parameter_groups(model: nn.Module, ssl_lr: float | None = None) -> list[dict[str, Any]]:
    """Optimizer groups: the model, its encoder at ``ssl_lr``, gates, multipliers."""
    featurizer = next((m for m in model.modules() if isinstance(m, Featurizer)), None)
    objective = next((m for m in model.modules() if isinstance(m, EncoderObjective)), None)
    own: list[dict[str, Any]] = []
    if ssl_lr is not None and featurizer:
        own.append({"params": list(featurizer.encoder.parameters()), "lr": ssl_lr})
    if objective and objective.pruner:
        own += at_own_rate(objective.pruner.parameter_groups())
    taken = {id(parameter) for group in own for parameter in group["params"]}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in taken]
    return [group for group in ({"params": rest}, *own) if group["params"]]
