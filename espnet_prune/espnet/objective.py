"""What a training of any task asks of its encoder besides the task: a budget, a teacher."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.utils.nested_dict_action import NestedDictAction
from torch import Tensor, nn

from espnet_prune.distillation import DistillationLoss, LayerwiseDistillation
from espnet_prune.encoder import ConfigError, EncoderOutput, SSLEncoder
from espnet_prune.encoder.typed import read_arguments, read_typed
from espnet_prune.espnet.processes import several, sum_of_all
from espnet_prune.espnet.teacher import Teacher, build_cache
from espnet_prune.inference import PRECISIONS
from espnet_prune.pruning import Pruner, PruningConfig, prepared

Model = TypeVar("Model", bound=nn.Module)

OPTIONS = ("pruning_conf", "distill_conf", "teacher", "teacher_precision", "teacher_cache")
"""What :func:`add_objective_arguments` adds."""


def add_objective_arguments(parser: argparse.ArgumentParser) -> None:
    """``--pruning_conf``, ``--distill_conf``, ``--teacher`` and its precision and cache."""
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
    group.add_argument(
        "--teacher_cache",
        metavar="DIR",
        help="Folder that keeps the teacher's states of the distilled layers, which later epochs "
        "and trainings read instead of computing; for whole utterances without augmentation. Four "
        "layers of WavLM Base+ take 0.61 MB per second of audio in float32, half in bfloat16",
    )


def add_task_pruning_arguments(
    parser: argparse.ArgumentParser, ssl_lr: float | None = None
) -> None:
    """The same beside a task's own, and ``--ssl_lr`` with its default."""
    add_objective_arguments(parser)
    parser.add_argument(
        "--ssl_lr",
        type=float,
        default=ssl_lr,
        help="Learning rate of the SSL encoder; default: that of the rest of the model",
    )


def asked_of(args: argparse.Namespace) -> list[str]:
    """The options of ours that a training was given."""
    names = ("pruning_conf", "distill_conf", "teacher", "teacher_cache", "ssl_lr")
    return [name for name in names if getattr(args, name, None) not in (None, {})]


def build_pruner(encoder: SSLEncoder, args: argparse.Namespace) -> tuple[SSLEncoder, Pruner | None]:
    """The gates that ``--pruning_conf`` asks for, and the encoder they are of; none if it is empty.

    The encoder is another one only where gates need one of other parts.
    """
    if not args.pruning_conf:
        return encoder, None
    config = read_typed(PruningConfig, args.pruning_conf, "pruning_conf")
    passes = getattr(args, "num_iters_per_epoch", None)
    if config.total_steps is None and passes and args.max_epoch:
        config = replace(config, total_steps=max(1, passes * args.max_epoch // args.accum_grad))
    # The target rises with every forward pass, of which a step has ``accum_grad``.
    steps = config.warmup_steps
    config = replace(config, warmup_steps=steps and steps * args.accum_grad)
    encoder = prepared(encoder, config)
    return encoder, Pruner(encoder, config)


def build_distillation(
    encoder: SSLEncoder, distill_conf: Mapping[str, Any]
) -> LayerwiseDistillation:
    """The loss between ``encoder`` and a teacher that ``--distill_conf`` asks for."""
    given = {"width": encoder.config.embed_dim, **distill_conf}
    arguments = read_arguments(LayerwiseDistillation, given, "distill_conf")
    distillation = LayerwiseDistillation(**arguments)
    last = len(encoder.config.layers)
    if max(distillation.layers) > last:
        raise ConfigError(
            f"distill_conf: expected layers up to {last}, found {list(distillation.layers)}"
        )
    return distillation


def join_objective(model: Model, args: argparse.Namespace) -> Model:
    """``model`` of a task, with gates and a teacher beside its encoder if ``args`` ask for them.

    The part of it that has a ``featurizer`` and a place for an ``objective`` owns them.

    Raises:
        ConfigError: another front end, or options that do not fit together.
    """
    asked = asked_of(args)
    if not asked:
        return model
    owner: Any = next((part for part in model.modules() if hasattr(part, "objective")), None)
    if owner is None:
        raise ConfigError(
            f"expected frontend: pruned_ssl for {', '.join(asked)}, found {args.frontend}; set it, "
            "with frontend_conf: model"
        )
    if bool(args.distill_conf) != bool(args.teacher):
        raise ConfigError(
            "expected distill_conf and teacher together, found one alone; give both or none"
        )
    if "teacher_cache" in asked and not args.teacher:
        raise ConfigError("expected teacher beside teacher_cache, found none; give both or none")
    encoder, pruner = build_pruner(owner.featurizer.encoder, args)
    owner.featurizer.encoder, distillation, teacher = encoder, None, None
    if args.teacher:
        dense = SSLEncoder.from_pretrained(args.teacher)
        distillation = build_distillation(encoder, args.distill_conf)
        cache = build_cache(args, distillation.layers)
        teacher = Teacher(dense, args.teacher_precision, cache)
    if pruner or teacher:
        owner.objective = EncoderObjective(pruner, distillation, teacher)
        owner.featurizer.through = owner.objective.forward
        model.register_forward_pre_hook(
            lambda _, __, named: owner.objective.hear(named.get("utt_id")), with_kwargs=True
        )
        model.register_forward_hook(lambda _, __, output: _with_terms(owner, *output))
    return model


def _with_terms(owner: Any, loss: Tensor, stats: dict[str, Any], weight: Tensor) -> tuple:
    """What an ESPnet model returns, with what the encoder of ``owner`` owes."""
    loss, more = owner.objective.add_to(loss, owner.featurizer.encoder, weight)
    return loss, {**stats, **force_gatherable(more, loss.device)}, weight


class EncoderObjective(nn.Module):
    """Terms of a loss that concern an encoder alone, beside the loss of the task it works for.

    A featurizer runs its encoder through this module; :meth:`add_to` then adds what that batch
    has to pay. ``distillation`` and ``teacher`` are given together or not at all.
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
        self._distance: tuple[DistillationLoss, Tensor] | None = None
        self._ids: Sequence[str] | None = None

    def hear(self, ids: Sequence[str] | None) -> None:
        """What comes next are the utterances ``ids``, by which a teacher's cache knows them."""
        self._ids = ids

    def forward(self, encoder: SSLEncoder, wavs: Tensor, lengths: Tensor | None) -> EncoderOutput:
        """The gated ``encoder`` on waveforms ``(B, T)`` of ``lengths`` ``(B,)`` samples.

        Gates are sampled once; the distance to the teacher is kept for :meth:`add_to`.
        """
        output = self.pruner(encoder, wavs, lengths) if self.pruner else encoder(wavs, lengths)
        if self.distillation and self.teacher:
            theirs = self.teacher(wavs, lengths, self._ids)
            distance = self.distillation(output.hidden_states, theirs, output.lengths)
            self._distance = distance, output.lengths.sum()
        return output

    def add_to(
        self, loss: Tensor | None, encoder: SSLEncoder, weight: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The ``loss`` of the task with this module's terms, and statistics of all terms.

        In training the budget's ramp moves on by a step. Without a task, what is left is
        distillation. ``weight`` is that of the task's batch, by which processes are averaged; None
        if it is the batch's frames.
        """
        stats: dict[str, Tensor] = {} if loss is None else {"loss_task": loss}
        kept, self._distance = self._distance, None
        if kept:
            distance, frames = kept
            # Plots and validation may run in one process alone, where nobody would answer.
            if weight is not None and self.training and several():
                own = torch.stack([frames.to(loss), weight.sum().to(loss)])
                share = own / sum_of_all(own)
                factor = share[0] / share[1]
                distance = DistillationLoss(*(factor * term for term in distance))
            loss = distance.total if loss is None else loss + distance.total
            stats |= {"loss_distill": distance.total, "l1": distance.l1, "cosine": distance.cosine}
        if loss is None:
            raise ValueError("expected a task or a teacher to learn from, found neither")
        if self.pruner:
            penalty = self.pruner.penalty(encoder)
            stats |= {**penalty.stats, "loss_on_target": penalty.on_target(loss)}
            loss = loss + penalty.loss
        stats["loss"] = loss
        # Copies: ESPnet divides the loss by accum_grad where it lies.
        return loss, {name: value.detach().clone() for name, value in stats.items()}
