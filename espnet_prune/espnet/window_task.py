"""What this project's ESPnet tasks share: windows as data, parameter groups owned by the model."""

from __future__ import annotations

from typing import Any

import torch
from espnet2.tasks.abs_task import AbsTask, optim_classes
from espnet2.train.collate_fn import CommonCollateFn

from espnet_prune.espnet.data_types import register_data_types
from espnet_prune.espnet.guarded_task import GuardedTask
from espnet_prune.espnet.schedules import register_schedules

register_data_types()
register_schedules()


class WindowTask(GuardedTask, AbsTask):
    """Base of tasks over fixed windows; the model declares its groups in ``parameter_groups``."""

    num_optimizers = 1

    @classmethod
    def build_collate_fn(cls, args: Any, train: bool) -> CommonCollateFn:
        """Pad with zeros."""
        return CommonCollateFn(float_pad_value=0.0, int_pad_value=-1)

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
