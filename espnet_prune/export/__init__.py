"""Export for deployment: encoders and diarization models as ONNX and torch.export files."""

from espnet_prune.export.program import OUTPUTS, ExportError, Output
from espnet_prune.export.targets import (
    TARGETS,
    Target,
    export_onnx,
    export_torch,
    largest_difference,
    load_exported,
)

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
