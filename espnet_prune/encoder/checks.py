"""What weights must be, wherever they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class CheckpointError(ValueError):
    """A file or folder that is not the checkpoint it should be.

    Example:
        >>> from espnet_prune.storage import CheckpointError, load_encoder
        >>> try:
        ...     load_encoder("no_such_folder")
        ... except CheckpointError as error:
        ...     print(str(error).split(":")[0])
        no_such_folder/config.json
    """


def require_finite(tensors: Mapping[str, Tensor], source: object) -> None:
    """Raise CheckpointError, which names it, if one of ``tensors`` holds NaN or infinity."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            continue
        # A sum is finite only if its terms are, and takes no memory.
        if not tensor.sum().isfinite() and not tensor.isfinite().all():
            raise CheckpointError(
                f"{source}: expected finite weights, found NaN or infinity in {name!r}; its "
                "training diverged or the file is damaged: take an earlier checkpoint"
            )
