"""Export to PyTorch's own format, for ``torch.export.load`` and AOTInductor."""

from __future__ import annotations

import json
from os import PathLike
from typing import TYPE_CHECKING

import torch

from espnet_prune.encoder import SSLEncoder
from espnet_prune.export.files import replacing
from espnet_prune.export.program import Deployment, Output, trace

if TYPE_CHECKING:
    from espnet_prune.diarization.model import DiarizationModel

METADATA = "metadata.json"


def export_torch(
    model: SSLEncoder | DiarizationModel, path: str | PathLike[str], output: Output | None = None
) -> None:
    """Write ``model`` to ``path`` (``*.pt2``), a program of ``wavs`` and ``lengths``.

    A batch may have any size and any length from two frames on. What there is to know about the
    model lies in the extra file ``metadata.json``.

    Args:
        model: on the CPU; it is left as it is.
        path: the file to write, atomically.
        output: see :class:`~espnet_prune.export.program.Deployment`.

    Raises:
        ExportError: the model has no such output.
    """
    deployment = Deployment(model, output)
    program = trace(deployment)
    with replacing(path) as file:
        torch.export.save(
            program, file, extra_files={METADATA: json.dumps(deployment.metadata(), indent=1)}
        )
