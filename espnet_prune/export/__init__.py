"""Export for deployment: encoders and diarization models as ONNX and torch.export files."""

from espnet_prune.export.check import largest_difference, load_exported
from espnet_prune.export.onnx_file import export_onnx
from espnet_prune.export.program import OUTPUTS, ExportError, Output
from espnet_prune.export.targets import TARGETS, Target
from espnet_prune.export.torch_file import export_torch

__all__ = [
    "OUTPUTS",
    "TARGETS",
    "ExportError",
    "Output",
    "Target",
    "export_onnx",
    "export_torch",
    "largest_difference",
    "load_exported",
]
