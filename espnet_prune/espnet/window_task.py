"""What this project's ESPnet tasks share: windows as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from espnet2.train.collate_fn import CommonCollateFn

from espnet_prune.espnet.data_types import register_data_types
from espnet_prune.espnet.guarded_task import GuardedTask
from espnet_prune.espnet.schedules import register_schedules

register_data_types()
register_schedules()


class WindowTask(GuardedTask):
    """Base of tasks over fixed windows."""

    num_optimizers = 1

    @classmethod
    def build_collate_fn(cls, args: Any, train: bool) -> CommonCollateFn:
        """Pad with zeros."""
        return CommonCollateFn(float_pad_value=0.0, int_pad_value=-1)

    @classmethod
    def build_preprocess_fn(cls, args: Any, train: bool) -> Callable[..., Any] | None:
        """None: windows come ready."""
        return None

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """None."""
        return ()
