"""The inference form of an encoder: the same outputs, faster, without gradients or masks."""

from espnet_prune.inference.form import PRECISIONS, fast_dtype, inference_form

__all__ = ["PRECISIONS", "fast_dtype", "inference_form"]
