"""Losses that draw a student to its teacher."""

from espnet_prune.distillation.layerwise import DistillationLoss, LayerwiseDistillation

__all__ = ["DistillationLoss", "LayerwiseDistillation"]
