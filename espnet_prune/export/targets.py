"""What models can be exported to, by name, and whether it computes the same.

Names that begin with a dot are ends of files, which need not be named: ``.onnx`` is for ONNX
Runtime and other runtimes without Python, ``.pt2`` for ``torch.export.load`` and AOTInductor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from espnet_prune.export.files import (
    PRECISIONS,
    Program,
    export_onnx,
    export_torch,
    load_onnx,
)
from espnet_prune.export.program import Deployment, ExportError, Model, Output, require
from espnet_prune.export.pyannote import PIPELINE, load_pyannote, write_pyannote
from espnet_prune.export.sherpa import export_sherpa, load_sherpa


class Target(NamedTuple):
    """What a model can be exported to.

    Attributes:
        write: writes a model to a path, with the name of its output (or None), and one of
            ``precisions`` (or None).
        load: the program in what was written.
        precisions: what can be asked for beside float32.
        needs: packages that ``load`` imports.
        last: the file that completes a folder; None of what is a file itself.
        padded: whether the program heeds the lengths of padded batches; others take whole windows
            of a diarization model.
    """

    write: Callable[[Any, Any, Any, Any], None]
    load: Callable[[str | PathLike[str]], Program]
    precisions: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    last: str | None = None
    padded: bool = True


TARGETS: dict[str, Target] = {
    ".onnx": Target(
        export_onnx,
        load_onnx,
        precisions=PRECISIONS,
        needs=("onnxruntime",),
    ),
    ".pt2": Target(
        lambda model, path, output, _: export_torch(model, path, output),
        lambda path: torch.export.load(path).module(),
    ),
    "pyannote": Target(
        write_pyannote, load_pyannote, needs=("pyannote.audio",), last=PIPELINE, padded=False
    ),
    "sherpa-onnx": Target(
        export_sherpa,
        load_sherpa,
        precisions=PRECISIONS,
        needs=("onnxruntime",),
        padded=False,
    ),
}
"""A new target is an entry here."""


def find_target(path: str | PathLike[str], name: str | None = None) -> Target:
    """The target of that name, by default that of the end of the file's.

    Raises:
        ExportError: it is none of :data:`.TARGETS`.
    """
    if name is None and Path(path).suffix not in TARGETS:
        ends = [each for each in TARGETS if each.startswith(".")]
        raise ExportError(f"expected a file that ends in {' or '.join(ends)}, found {path}")
    if (name := name or Path(path).suffix) not in TARGETS:
        raise ExportError(f"expected a target of {', '.join(TARGETS)}, found {name}")
    return TARGETS[name]


def load_exported(path: str | PathLike[str], target: str | None = None) -> Program:
    """The program in a file or folder, as of :func:`find_target`; on the CPU.

    Raises:
        ExportError: it is none of :data:`.TARGETS`, or needs a package.
    """
    found = find_target(path, target)
    require(*found.needs)
    return found.load(path)


@torch.no_grad()
def largest_difference(
    path: str | PathLike[str],
    model: Model,
    output: Output | None = None,
    target: str | None = None,
) -> float:
    """How far what was exported is from ``model``, relative to the largest value.

    Over padded batches, or windows where the target knows no others. Wrong frame counts are
    infinitely far; NaN is NaN. The model is in eval mode, as exported.
    """
    program, deployment = load_exported(path, target), Deployment(model, output)
    differences = []
    for batch in _batches(deployment, find_target(path, target).padded):
        (found, found_frames), (expected, expected_frames) = (
            run(*batch) for run in (program, deployment)
        )
        same = torch.equal(found_frames, expected_frames)
        difference = (found - expected).abs().max() / expected.abs().max()
        differences.append(difference if same else torch.tensor(float("inf")))
    return float(torch.stack(differences).max())


def _batches(deployment: Deployment, padded: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """Noise ``(B, T)`` and lengths ``(B,)``: padded, or whole windows."""
    config = deployment.encoder.config
    generator = torch.Generator().manual_seed(0)
    for batch, frames in ((1, 2), (3, 50), (2, 150)):
        samples = config.shortest + (frames - 1) * config.hop + 7
        shortest = (samples + config.shortest) / 2
        if not padded:
            shortest = samples = deployment.window
        wavs = 0.1 * torch.randn(batch, samples, generator=generator)
        yield wavs, torch.linspace(samples, shortest, batch).long()
