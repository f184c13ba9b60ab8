"""What models can be exported to, by the end of the file's name, and whether it computes the same.

``.onnx`` is for ONNX Runtime and other runtimes without Python, ``.pt2`` is PyTorch's own format,
for ``torch.export.load`` and AOTInductor.
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from espnet_prune.export.program import Deployment, ExportError, Model, Output, trace
from espnet_prune.storage.files import replacing

METADATA = "metadata.json"
Program = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From waveforms ``(B, T)`` and samples ``(B,)`` to an output and frames ``(B,)``."""
_OPSET = 18
_AXES = {"wavs": {0: "batch", 1: "samples"}, "lengths": None}

logger = logging.getLogger(__name__)


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


def export_onnx(
    model: Model, path: str | PathLike[str], output: Output | None = None, int8: bool = False
) -> None:
    """Write ``model`` (on the CPU) to ``path``, a graph of ``wavs`` and ``lengths``.

    A batch may have any size and any length from one frame on. What there is to know about the
    model lies in the file's metadata. The write is atomic; weights of over 1.5 GB go to a file
    beside it. ``int8`` stores the linear maps in, and computes them with, 8-bit integers. For
    ``output`` see :class:`.Deployment`.

    Raises:
        ExportError: the model has no such output, or a package is not installed.
    """
    require("onnx", "onnxscript", *(["onnxruntime"] if int8 else []))
    deployment = Deployment(model, output)
    program = trace(deployment)
    logger.info("translating it to ONNX")
    onnx_program = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        opset_version=_OPSET,
        input_names=list(_AXES),
        output_names=[deployment.output, "frames"],
        dynamic_shapes=_AXES,
    )
    assert onnx_program is not None
    onnx_program.model.metadata_props.update(deployment.metadata())
    with replacing(path) as file:
        if int8:
            _save_int8(onnx_program, file)
        else:
            onnx_program.save(file)


def export_torch(model: Model, path: str | PathLike[str], output: Output | None = None) -> None:
    """As :func:`export_onnx`, as a program of PyTorch for any length from two frames on.

    What there is to know about the model lies in the extra file ``metadata.json``.

    Raises:
        ExportError: the model has no such output.
    """
    deployment = Deployment(model, output)
    program = trace(deployment)
    metadata = json.dumps(deployment.metadata(), indent=1)
    with replacing(path) as file:
        torch.export.save(program, file, extra_files={METADATA: metadata})


def require(*packages: str) -> None:
    """Raise ExportError if one of ``packages`` is not installed."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ExportError(f"an ONNX file needs {package}: pip install {package}") from error


def _save_int8(program: torch.onnx.ONNXProgram, path: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    logger.info("quantizing it")
    quantize_dynamic(
        program.model_proto,
        path,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        reduce_range=True,  # to 7 bits: without VNNI, x86 processors saturate sums of products of 8
    )


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
            model, path, output, precision == "int8"
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
"""A new target is an entry here."""


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
    path: str | PathLike[str], model: Model, output: Output | None = None
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
