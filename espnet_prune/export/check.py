"""Does an exported file compute what the model does?"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from espnet_prune.encoder import SSLEncoder
from espnet_prune.export.onnx_file import require
from espnet_prune.export.program import Deployment, ExportError, Output
from espnet_prune.export.targets import TARGETS, Program

if TYPE_CHECKING:
    from espnet_prune.diarization.model import DiarizationModel


def load_exported(path: str | PathLike[str]) -> Program:
    """The program in a file, by the end of its name; ONNX Runtime's is on the CPU.

    Raises:
        ExportError: it is none of :data:`.TARGETS`, or needs a package.
    """
    suffix = Path(path).suffix
    if suffix not in TARGETS:
        raise ExportError(f"expected a file that ends in {' or '.join(TARGETS)}, found {path}")
    require(*TARGETS[suffix].needs)
    return TARGETS[suffix].load(path)


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
