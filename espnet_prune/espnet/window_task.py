"""What this project's ESPnet tasks share: windows as data, parameter groups owned by the model."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.tasks.abs_task import AbsTask, optim_classes
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.utils.types import str2bool

from espnet_prune.espnet.crops import EpochIterFactory, RandomCrops
from espnet_prune.espnet.data_types import register_data_types
from espnet_prune.espnet.guarded_task import GuardedTask
from espnet_prune.espnet.schedules import register_schedules

register_data_types()
register_schedules()


class WindowTask(GuardedTask, AbsTask):
    """Base of tasks over fixed windows; the model declares its groups in ``parameter_groups``."""

    num_optimizers = 1

    @classmethod
    def build_collate_fn(cls, args: Any, train: bool) -> CommonCollateFn | RandomCrops:
        """Pad with zeros, or crop if ``--crop`` asks for it; validation hears all of it."""
        collate = CommonCollateFn(float_pad_value=0.0, int_pad_value=-1)
        crop = train and getattr(args, "crop", False)
        return RandomCrops(args.seed, collate) if crop else collate

    @classmethod
    def build_sequence_iter_factory(
        cls, args: argparse.Namespace, iter_options: Any, mode: str
    ) -> AbsIterFactory:
        """ESPnet's own; crops are told the epoch."""
        factory = super().build_sequence_iter_factory(args, iter_options, mode)
        crops = iter_options.collate_fn
        return EpochIterFactory(factory, crops) if isinstance(crops, RandomCrops) else factory

    @classmethod
    def build_preprocess_fn(cls, args: Any, train: bool) -> None:
        """None: windows come ready."""
        return None

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """None."""
        return ()

    @classmethod
    def build_optimizers(cls, args: Any, model: torch.nn.Module) -> list[torch.optim.Optimizer]:
        """One optimizer over the model's own groups, clipped as asked."""
        groups = [group for group in model.parameter_groups() if group["params"]]
        optimizer = optim_classes[args.optim](groups, **args.optim_conf)
        cls.settle_optimizers(args, [optimizer])
        return [optimizer]


def add_crop_option(group: Any) -> None:
    """Add ``--crop`` for a task whose data are utterances."""
    group.add_argument(
        "--crop",
        type=str2bool,
        default=False,
        help="Crop each training utterance at random to the shortest of its batch instead of "
        "padding it to the longest; a batch type that sorts (numel, sorted) loses little",
    )
