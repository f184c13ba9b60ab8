"""A diarization model as a folder of pyannote.audio, whose pipeline runs it as Diarizer does."""

from __future__ import annotations

import importlib
import shutil
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espnet_prune import __version__
from espnet_prune.export.files import Program
from espnet_prune.export.program import Output, require_whole_diarizer
from espnet_prune.storage.files import atomic_write

PIPELINE, _SEGMENTATION, _WEIGHTS = "config.yaml", "segmentation", "pytorch_model.bin"
_PLACE = "espnet_prune.places.pyannote"
# The oldest versions that read such a folder.
_PYANNOTE, _LIGHTNING = "4.0.0", "2.4.0"


def write_pyannote(model: Any, folder: Path, output: Output | None = None, *_: Any) -> None:
    """Write what ``Pipeline.from_pretrained`` of pyannote.audio 4 reads to a new ``folder``.

    ``Model.from_pretrained`` reads its subfolder ``segmentation``, a file of tensors and plain
    values. The embedding head and the PLDA beside a model are copied; the pipeline's options are
    those that :class:`.Diarizer` runs the model with by default.

    Raises:
        ExportError: the model is an encoder, or not its log_probs are asked for.
    """
    require_whole_diarizer(model, output)
    (folder / _SEGMENTATION).mkdir(parents=True)
    torch.save(_checkpoint(model), folder / _SEGMENTATION / _WEIGHTS)
    atomic_write(folder / PIPELINE, _pipeline(model, folder))


def load_pyannote(folder: str | PathLike[str]) -> Program:
    """What the segmentation of a written folder computes, by pyannote.audio."""
    audio = importlib.import_module("pyannote.audio")
    model = audio.Model.from_pretrained(Path(folder, _SEGMENTATION)).eval()

    def run(wavs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        scores = model(wavs[:, None])
        return scores, torch.full_like(lengths, scores.size(1))

    return run


def _checkpoint(model: Any) -> dict[str, Any]:
    """What Lightning saves of a model, as far as loading reads it."""
    return {
        "pyannote.audio": {
            "versions": {"pyannote.audio": _PYANNOTE},
            "architecture": {"module": _PLACE, "class": "Segmentation"},
        },
        "pytorch-lightning_version": _LIGHTNING,
        "hyper_parameters": {
            "encoder": model.encoder.config.to_dict(),
            "diarization": asdict(model.config),
        },
        "state_dict": {f"model.{name}": value for name, value in model.state_dict().items()},
    }


def _pipeline(model: Any, folder: Path) -> str:
    """The text of ``config.yaml``; what lies beside the model is copied to ``folder``."""
    import yaml

    from espnet_prune.diarization.inference_config import (
        HEAD,
        PLDA,
        InferenceConfig,
        config_of_release,
    )

    config = InferenceConfig()
    if model.origin is not None:
        config = config_of_release(model.origin)
        beside = model.origin if model.origin.is_dir() else model.origin.parent
        for name in (HEAD, PLDA):
            if (beside / name).is_dir():
                shutil.copytree(beside / name, folder / name)
    params = {
        "segmentation": f"$model/{_SEGMENTATION}",
        "folder": "$model/",
        "inference": asdict(config),
    }
    values = {
        "dependencies": {"pyannote.audio": _PYANNOTE, "espnet_prune": __version__},
        "pipeline": {"name": f"{_PLACE}.SpeakerDiarization", "params": params},
    }
    return yaml.safe_dump(values, sort_keys=False)
