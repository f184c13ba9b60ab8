"""Export for deployment: encoders and diarization models for the runtimes of others."""

from espnet_prune.export.files import export_onnx, export_torch
from espnet_prune.export.program import OUTPUTS, ExportError, Output
from espnet_prune.export.sherpa import export_sherpa, export_sherpa_embedding
from espnet_prune.export.targets import TARGETS, Target, largest_difference, load_exported

__all__ = [
    "OUTPUTS",
    "TARGETS",
    "ExportError",
    "Output",
    "Target",
    "export_onnx",
    "export_sherpa",
    "export_sherpa_embedding",
    "export_torch",
    "largest_difference",
    "load_exported",
]
