"""The inference form of an encoder: the same outputs, faster, without gradients or masks."""

from typing import TYPE_CHECKING

from espnet_prune.inference.names import AUTO
from espnet_prune.lazy import lazy_names

if TYPE_CHECKING:
    from espnet_prune.inference.device import usable_device
    from espnet_prune.inference.form import PRECISIONS, fast_dtype, inference_form
else:
    __getattr__, __dir__ = lazy_names(
        __name__, {"device": "usable_device", "form": "PRECISIONS fast_dtype inference_form"}
    )

__all__ = ["AUTO", "PRECISIONS", "fast_dtype", "inference_form", "usable_device"]
