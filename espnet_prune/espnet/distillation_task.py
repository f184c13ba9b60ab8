"""ESPnet task: distil a teacher into a student, pruning the student on the way if asked."""

from __future__ import annotations

import argparse

from espnet2.utils.nested_dict_action import NestedDictAction

from espnet_prune.espnet.distillation_model import ESPnetDistillationModel
from espnet_prune.espnet.objective import build_distillation, build_pruner
from espnet_prune.espnet.window_task import WindowTask, add_crop_option
from espnet_prune.ssl import SSLEncoder
from espnet_prune.ssl.inference import PRECISIONS


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
        add_crop_option(group)
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
