"""Models as files: ONNX, for runtimes without Python, and PyTorch's own, for AOTInductor."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.export import ExportedProgram

from espnet_prune.encoder.config import MAPS
from espnet_prune.export.program import Deployment, Model, Output, require, trace
from espnet_prune.storage.files import replacing

METADATA = "metadata.json"
Precision = Literal["int8", "float16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Program = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From waveforms ``(B, T)`` and samples ``(B,)`` to an output and frames ``(B,)``."""
_OPSET = 18
_SCOPES = "pkg.torch.onnx.name_scopes"
_AXES: dict[str, Any] = {"wavs": {0: "batch", 1: "samples"}, "lengths": None}

logger = logging.getLogger(__name__)


def export_onnx(
    model: Model,
    path: str | PathLike[str],
    output: Output | None = None,
    precision: Precision | None = None,
) -> None:
    """Write ``model`` (on the CPU) to ``path``, a graph of ``wavs`` and ``lengths``.

    A batch may have any size and any length from one frame on. What there is to know about the
    model lies in the file's metadata. The write is atomic; weights of over 1.5 GB go to a file
    beside it. ``int8`` stores the Transformer's linear maps in, and computes them with, 8-bit
    integers; of ``float16`` are all weights and sums. For ``output`` see :class:`.Deployment`.

    Raises:
        ExportError: the model has no such output, or a package is not installed.
    """
    require("onnx", "onnxscript", *(["onnxruntime"] if precision else []))
    deployment = Deployment(model, output)
    outputs = [deployment.output, "frames"]
    save_onnx(trace(deployment), path, _AXES, outputs, deployment.metadata(), precision)


def save_onnx(
    program: ExportedProgram,
    path: str | PathLike[str],
    axes: dict[str, Any],
    outputs: list[str],
    metadata: dict[str, str],
    precision: Precision | None = None,
) -> None:
    """Write a program to ``path`` as ONNX, atomically.

    ``axes`` names the inputs, and of each the axes that may have any size.
    """
    logger.info("translating it to ONNX")
    onnx_program = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        opset_version=_OPSET,
        input_names=list(axes),
        output_names=outputs,
        dynamic_shapes=axes,
    )
    assert onnx_program is not None
    onnx_program.model.metadata_props.update(metadata)
    with replacing(path) as file:
        if precision == "int8":
            _save_int8(onnx_program, file)
        elif precision == "float16":
            _save_float16(onnx_program, file)
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
    graph = program.model_proto.graph
    quantize_dynamic(
        program.model_proto,
        path,
        op_types_to_quantize=["MatMul", "Gemm"],
        nodes_to_exclude=[node.name for node in graph.node if not _is_map(node)],
        per_channel=True,
        reduce_range=True,  # to 7 bits: without VNNI, x86 processors saturate sums of products of 8
    )


def _is_map(node: Any) -> bool:
    """Whether a node computes a linear map of the Transformer, by the modules that it lies in.

    Spectra need more than 8 bits, and a head has few maps, and the last word.
    """
    scopes = next((each.value for each in node.metadata_props if each.key == _SCOPES), "")
    return any(name in scopes for name in MAPS)


def _save_float16(program: torch.onnx.ONNXProgram, path: Path) -> None:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(program.model_proto, keep_io_types=True), path)


def onnx_session(path: str | PathLike[str]) -> Any:
    """ONNX Runtime's session of a file, on the CPU."""
    import onnxruntime

    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def load_onnx(path: str | PathLike[str]) -> Program:
    session = onnx_session(path)

    def run(wavs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        output, frames = session.run(None, {"wavs": wavs.numpy(), "lengths": lengths.numpy()})
        return torch.from_numpy(output), torch.from_numpy(frames)

    return run
