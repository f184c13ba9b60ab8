"""The inference form of an encoder: the same outputs, faster, without gradients or masks."""

from espnet_prune.inference.device import AUTO, usable_device
from espnet_prune.inference.form import PRECISIONS, fast_dtype, inference_form

__all__ = ["AUTO", "PRECISIONS", "fast_dtype", "inference_form", "usable_device"]
