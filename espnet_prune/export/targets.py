"""What models can be exported to, by the end of the file's name."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any, NamedTuple

import torch
from torch import Tensor

from espnet_prune.export.onnx_file import export_onnx
from espnet_prune.export.torch_file import export_torch

Program = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From waveforms ``(B, T)`` and samples ``(B,)`` to an output and frames ``(B,)``."""


class Target(NamedTuple):
    """A kind of file.

    Attributes:
        write: writes a model to a path, with the name of its output (or None), and one of
            ``precisions`` (or None).
        load: the program in a file.
        precisions: what can be asked for beside float32.
        needs: packages that ``load`` imports.
    """

    write: Callable[[Any, Any, Any, str | None], None]
    load: Callable[[str | PathLike[str]], Program]
    precisions: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def _load_onnx(path: str | PathLike[str]) -> Program:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(wavs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        output, frames = session.run(None, {"wavs": wavs.numpy(), "lengths": lengths.numpy()})
        return torch.from_numpy(output), torch.from_numpy(frames)

    return run


TARGETS: dict[str, Target] = {
    ".onnx": Target(
        lambda model, path, output, precision: export_onnx(
            model, path, output, int8=precision == "int8"
        ),
        _load_onnx,
        precisions=("int8",),
        needs=("onnxruntime",),
    ),
    ".pt2": Target(
        lambda model, path, output, _: export_torch(model, path, output),
        lambda path: torch.export.load(path).module(),
    ),
}
"""A new target is a file and an entry here."""
