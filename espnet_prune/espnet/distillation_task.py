"""ESPnet task: distil a teacher into a student, pruning the student on the way if asked."""

from __future__ import annotations

import argparse
from typing import Any

from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.utils.types import str2bool

from espnet_prune.encoder import SSLEncoder
from espnet_prune.espnet.crops import EpochIterFactory, RandomCrops
from espnet_prune.espnet.distillation_model import ESPnetDistillationModel
from espnet_prune.espnet.objective import add_objective_arguments, build_distillation, build_pruner
from espnet_prune.espnet.window_task import WindowTask


class DistillationTask(WindowTask):
    """Joint layer-wise distillation and pruning, then distillation alone."""

    class_choices_list = ()

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """``--student``, ``--crop``, and those of the objective."""
        group = parser.add_argument_group(description="Distillation and pruning")
        group.add_argument("--student", required=True, help="Folder of the encoder that learns")
        group.add_argument(
            "--crop",
            type=str2bool,
            default=False,
            help="Crop each training utterance at random to the shortest of its batch instead of "
            "padding it to the longest; a batch type that sorts (numel, sorted) loses little",
        )
        add_objective_arguments(parser)
        parser.set_defaults(required=[*parser.get_default("required"), "teacher"])

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
