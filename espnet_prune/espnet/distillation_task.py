"""ESPnet task: distil a teacher into a student, pruning the student on the way if asked."""

from __future__ import annotations

import argparse
from typing import Any

from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import str2bool

from espnet_prune.encoder import SSLEncoder
from espnet_prune.espnet.crops import EpochIterFactory, RandomCrops
from espnet_prune.espnet.distillation_model import ESPnetDistillationModel
from espnet_prune.espnet.objective import build_distillation, build_pruner
from espnet_prune.espnet.window_task import WindowTask
from espnet_prune.inference import PRECISIONS


class DistillationTask(WindowTask):
    """Joint layer-wise distillation and pruning, then distillation alone."""

    class_choices_list = ()

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """``--student``, ``--teacher``, ``--crop``, ``--distill_conf`` and ``--pruning_conf``."""
        group = parser.add_argument_group(description="Distillation and pruning")
        group.add_argument("--student", required=True, help="Folder of the encoder that learns")
        group.add_argument("--teacher", required=True, help="Folder of the encoder it learns from")
        group.add_argument(
            "--teacher_precision",
            choices=PRECISIONS,
            default="float32",
            help="What the teacher computes in; bfloat16 is faster and less exact",
        )
        group.add_argument(
            "--crop",
            type=str2bool,
            default=False,
            help="Crop each training utterance at random to the shortest of its batch instead of "
            "padding it to the longest; a batch type that sorts (numel, sorted) loses little",
        )
        group.add_argument(
            "--distill_conf",
            action=NestedDictAction,
            default={},
            help="Keyword arguments of LayerwiseDistillation: layers, l1_weight, cosine_weight, "
            "projection_groups",
        )
        group.add_argument(
            "--pruning_conf",
            action=NestedDictAction,
            default={},
            help="Keyword arguments of PruningConfig: target, warmup_steps, units, gate_lr, ...; "
            "empty: distil without pruning",
        )

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """Audio alone."""
        return ("speech",)

    @classmethod
    def build_collate_fn(
        cls, args: argparse.Namespace, train: bool
    ) -> CommonCollateFn | RandomCrops:
        """Pad with zeros, or crop if ``--crop`` asks for it; validation hears whole utterances."""
        collate = super().build_collate_fn(args, train)
        return RandomCrops(args.seed, collate) if train and args.crop else collate

    @classmethod
    def build_sequence_iter_factory(
        cls, args: argparse.Namespace, iter_options: Any, mode: str
    ) -> AbsIterFactory:
        """ESPnet's own; crops are told the epoch."""
        factory = super().build_sequence_iter_factory(args, iter_options, mode)
        crops = iter_options.collate_fn
        return EpochIterFactory(factory, crops) if isinstance(crops, RandomCrops) else factory

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ESPnetDistillationModel:
        """Build student, teacher, loss and, if ``--pruning_conf`` asks for it, gates."""
        student = SSLEncoder.from_pretrained(args.student)
        return ESPnetDistillationModel(
            student,
            SSLEncoder.from_pretrained(args.teacher),
            build_distillation(student, args.distill_conf),
            build_pruner(student, args.pruning_conf, args.accum_grad),
            args.teacher_precision,
        )
