"""Models as files: ONNX, for runtimes without Python, and PyTorch's own, for AOTInductor."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from espnet_prune.export.program import Deployment, Model, Output, require, trace
from espnet_prune.storage.files import replacing

METADATA = "metadata.json"
Program = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From waveforms ``(B, T)`` and samples ``(B,)`` to an output and frames ``(B,)``."""
_OPSET = 18
_AXES = {"wavs": {0: "batch", 1: "samples"}, "lengths": None}

logger = logging.getLogger(__name__)


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


def load_onnx(path: str | PathLike[str]) -> Program:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(wavs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        output, frames = session.run(None, {"wavs": wavs.numpy(), "lengths": lengths.numpy()})
        return torch.from_numpy(output), torch.from_numpy(frames)

    return run
