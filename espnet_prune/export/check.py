"""Does an exported file compute what the model does?"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from espnet_prune.encoder import SSLEncoder
from espnet_prune.export.onnx_file import require
from espnet_prune.export.program import Deployment, Output

if TYPE_CHECKING:
    from espnet_prune.diarization.model import DiarizationModel

Program = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From waveforms ``(B, T)`` and samples ``(B,)`` to an output and frames ``(B,)``."""


def load_exported(path: str | PathLike[str]) -> Program:
    """The program in a file, an ``*.onnx`` on ONNX Runtime's CPU provider.

    Raises:
        ExportError: it needs onnxruntime.
    """
    if Path(path).suffix == ".pt2":
        return torch.export.load(path).module()
    require("onnxruntime")
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(wavs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        output, frames = session.run(None, {"wavs": wavs.numpy(), "lengths": lengths.numpy()})
        return torch.from_numpy(output), torch.from_numpy(frames)

    return run


@torch.no_grad()
def largest_difference(
    path: str | PathLike[str], model: SSLEncoder | DiarizationModel, output: Output | None = None
) -> float:
    """How far the file is from ``model``, relative to the largest value, over padded batches.

    Wrong frame counts are infinitely far; NaN is NaN. The model is in eval mode, as exported.
    """
    program, deployment = load_exported(path), Deployment(model, output)
    config = deployment.encoder.config
    generator = torch.Generator().manual_seed(0)
    differences = []
    for batch, frames in ((1, 2), (3, 50), (2, 150)):
        samples = config.shortest + (frames - 1) * config.hop + 7
        wavs = 0.1 * torch.randn(batch, samples, generator=generator)
        lengths = torch.linspace(samples, (samples + config.shortest) / 2, batch).long()
        (found, found_frames), (expected, expected_frames) = (
            run(wavs, lengths) for run in (program, deployment)
        )
        same = torch.equal(found_frames, expected_frames)
        difference = (found - expected).abs().max() / expected.abs().max()
        differences.append(difference if same else torch.tensor(float("inf")))
    return float(torch.stack(differences).max())
