"""Export to ONNX, for ONNX Runtime and for other runtimes without Python."""

from __future__ import annotations

import importlib
import logging
from os import PathLike
from typing import TYPE_CHECKING

import torch

from espnet_prune.encoder import SSLEncoder
from espnet_prune.export.files import replacing
from espnet_prune.export.program import Deployment, ExportError, Output, trace

if TYPE_CHECKING:
    from espnet_prune.diarization.model import DiarizationModel

_OPSET = 18
_AXES = {"wavs": {0: "batch", 1: "samples"}, "lengths": None}

logger = logging.getLogger(__name__)


def export_onnx(
    model: SSLEncoder | DiarizationModel,
    path: str | PathLike[str],
    output: Output | None = None,
    int8: bool = False,
) -> None:
    """Write ``model`` to ``path`` (``*.onnx``), a graph of ``wavs`` and ``lengths``.

    A batch may have any size and any length from one frame on. What there is to know about the
    model lies in the file's metadata.

    Args:
        model: on the CPU; it is left as it is.
        path: the file to write, atomically; weights of over 1.5 GB go to a file beside it.
        output: see :class:`~espnet_prune.export.program.Deployment`.
        int8: store the linear maps in, and compute them with, 8-bit integers.

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


def require(*packages: str) -> None:
    """Raise ExportError if one of ``packages`` is not installed."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ExportError(f"an ONNX file needs {package}: pip install {package}") from error


def _save_int8(program: torch.onnx.ONNXProgram, path: str | PathLike[str]) -> None:
    from onnxruntime.quantization import quantize_dynamic

    logger.info("quantizing it")
    quantize_dynamic(
        program.model_proto,
        path,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        reduce_range=True,  # to 7 bits: without VNNI, x86 processors saturate sums of products of 8
    )
