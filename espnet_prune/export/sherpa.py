"""Models for sherpa-onnx: what its OfflineSpeakerDiarization reads, and an embedding beside it."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.export import Dim

from espnet_prune.encoder import SSLEncoder
from espnet_prune.export.files import Precision, Program, onnx_session, save_onnx
from espnet_prune.export.program import (
    Deployment,
    ExportError,
    Model,
    Output,
    program_of,
    require,
    require_whole_diarizer,
)

if TYPE_CHECKING:  # it imports what an encoder's export does without
    from espnet_prune.diarization.embedding.campplus import CAMPlusPlusEmbedder
    from espnet_prune.diarization.model import DiarizationModel

_MOST_SIMULTANEOUS = 2  # that sherpa-onnx knows the classes of
_FEW = 20  # spectra: an embedding is traced with them


class _Segmentation(nn.Module):
    """Windows ``(N, 1, T)`` to log-probabilities ``(N, L, K)``."""

    def __init__(self, model: DiarizationModel):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x.squeeze(1))[0]


def export_sherpa(
    model: Model,
    path: str | PathLike[str],
    output: Output | None = None,
    precision: Precision | None = None,
) -> None:
    """Write a diarization model to ``path``, as sherpa-onnx reads its segmentation models.

    The graph takes windows ``(N, 1, T)`` of the model's own length and gives log-probabilities
    ``(N, L, K)``. For ``precision`` see :func:`.export_onnx`.

    Raises:
        ExportError: it is no diarization model, has more than two simultaneous speakers, or a
            package is not installed.
    """
    require("onnx", "onnxscript", *(["onnxruntime"] if precision else []))
    require_whole_diarizer(model, output)
    assert not isinstance(model, SSLEncoder)
    config, encoder = model.config, model.encoder.config
    if config.max_simultaneous > _MOST_SIMULTANEOUS:
        raise ExportError(
            f"expected a model of {_MOST_SIMULTANEOUS} simultaneous speakers at most, as "
            f"sherpa-onnx reads them, found one of {config.max_simultaneous}; train it with "
            f"max_simultaneous: {_MOST_SIMULTANEOUS}, or export it to *.onnx"
        )
    deployment = Deployment(model)
    numbers = {
        "window_size": deployment.window,
        # Its only use: the time of the first frame is half of it.
        "receptive_field_size": round(2 * encoder.first_centre),
        "receptive_field_shift": encoder.hop,
        "num_speakers": config.max_speakers,
        "powerset_max_classes": config.max_simultaneous,
        "num_classes": model.powerset.num_classes,
    }
    metadata = deployment.metadata() | {name: str(number) for name, number in numbers.items()}
    windows = torch.zeros(2, 1, deployment.window)
    program = program_of(_Segmentation(model), (windows,), {"x": {0: Dim.DYNAMIC}})
    save_onnx(program, path, {"x": {0: "N"}}, ["log_probs"], metadata, precision)


def export_sherpa_embedding(embedder: CAMPlusPlusEmbedder, path: str | PathLike[str]) -> None:
    """Write CAM++ to ``path``, as sherpa-onnx reads its embeddings: ``(1, L, 80)`` to ``(1, E)``.

    Raises:
        ExportError: a package is not installed.
    """
    require("onnx", "onnxscript")
    spectra = torch.zeros(1, _FEW, 80)
    program = program_of(embedder.network, (spectra,), {"features": {1: Dim.DYNAMIC(min=3)}})
    metadata = {
        "framework": "3d-speaker",
        "language": "Chinese, English",
        "sample_rate": "16000",
        "output_dim": str(embedder.network(spectra).size(1)),
        "normalize_samples": "0",  # to 16 bit integers, as we do
        "feature_normalize_type": "global-mean",
    }
    save_onnx(program, path, {"features": {1: "L"}}, ["embedding"], metadata)


def load_sherpa(path: str | PathLike[str]) -> Program:
    """The program of a segmentation model, of whole windows ``(B, T)``."""
    session = onnx_session(path)

    def run(wavs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        (output,) = session.run(None, {"x": wavs[:, None].numpy()})
        return torch.from_numpy(output), torch.full_like(lengths, output.shape[1])

    return run
