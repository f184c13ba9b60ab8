"""What is compared: ours and its peers, each loaded from a file with the very same weights."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks import peers
from benchmarks.peers import Run
from espnet_prune import inference
from espnet_prune.encoder import PRESETS, SSLEncoder
from espnet_prune.inference.linear import has_instructions
from espnet_prune.storage.files import atomic_write

logger = logging.getLogger(__name__)

PRECISIONS = {
    "cpu": ("float32", "bfloat16", "int8"),
    "cuda": ("float32", "float16", "bfloat16"),
}
_ENCODER = "encoder"


def fast_precisions(device: str) -> list[str]:
    """The :data:`PRECISIONS` that ``device`` has instructions for; emulation takes minutes."""
    emulated = device == "cpu" and not has_instructions(torch.bfloat16)
    return [name for name in PRECISIONS[device] if not (emulated and name == "bfloat16")]


OURS, TRAINING_FORM = "espnet_prune", "espnet_prune (training form)"


@dataclass(frozen=True)
class Implementation:
    """One way to run an encoder.

    Attributes:
        save: writes an encoder to a folder, for some precisions.
        load: from that folder, a precision and a device to what runs the model.
        precisions: those it has.
        imports: the modules it needs, the first of its package first.
        pruned: whether it can be a pruned shape.
        families, devices: those it can be and run on.
    """

    save: Callable[[SSLEncoder, Path, Sequence[str]], None]
    load: Callable[[Path, str, str], Run]
    precisions: Sequence[str]
    imports: Sequence[str]
    pruned: bool = False
    families: Sequence[str] = ("wavlm", "hubert", "wav2vec2")
    devices: Sequence[str] = ("cpu", "cuda")

    @property
    def installed(self) -> bool:
        """Whether its package is."""
        return find_spec(self.imports[0].split(".")[0]) is not None


@dataclass(frozen=True)
class Subject:
    """One bar of the comparison: the name of a preset, and how it is run."""

    model: str
    implementation: str
    precision: str

    def __str__(self) -> str:
        return f"{self.model} by {self.implementation} in {self.precision}"


def ours(encoder: SSLEncoder, precision: str) -> SSLEncoder:
    """The inference form of ``encoder`` in a precision of :data:`PRECISIONS`."""
    return inference.inference_form(encoder, inference.PRECISIONS[precision])


def _save_encoder(encoder: SSLEncoder, folder: Path, precisions: Sequence[str]) -> None:
    encoder.save_pretrained(folder / _ENCODER)


def _load_ours(folder: Path, precision: str, device: str) -> Run:
    form = ours(SSLEncoder.from_pretrained(folder / _ENCODER).to(device), precision)
    return lambda wavs: form(wavs).hidden_states


def _load_training_form(folder: Path, precision: str, device: str) -> Run:
    encoder = SSLEncoder.from_pretrained(folder / _ENCODER).to(device)
    return lambda wavs: encoder(wavs).hidden_states


IMPLEMENTATIONS = {
    "torchaudio": Implementation(
        peers.save_torchaudio,
        peers.load_torchaudio,
        ("float32", "float16", "bfloat16", "int8"),
        ("torchaudio.models",),
    ),
    "transformers": Implementation(
        peers.save_transformers,
        peers.load_transformers,
        ("float32",),
        ("transformers.models.auto.modeling_auto", "transformers.models.wavlm.modeling_wavlm"),
    ),
    "s3prl": Implementation(
        peers.save_s3prl,
        peers.load_s3prl,
        ("float32",),
        ("s3prl.upstream.wavlm.expert",),
        families=("wavlm",),
    ),
    "onnxruntime": Implementation(
        peers.save_onnx,
        peers.load_onnx,
        ("float32", "int8"),
        ("onnxruntime", "onnxscript", "onnx"),
        pruned=True,
        devices=("cpu",),
    ),
    TRAINING_FORM: Implementation(
        _save_encoder,
        _load_training_form,
        ("float32",),
        ("espnet_prune.formats",),
        pruned=True,
    ),
    OURS: Implementation(
        _save_encoder,
        _load_ours,
        ("float32", "float16", "bfloat16", "int8"),
        ("espnet_prune.formats",),
        pruned=True,
    ),
}


def find_subjects(model: str, precisions: Sequence[str], device: str) -> list[Subject]:
    """Whatever can run the dense preset ``model`` or its pruned shape, the reference first.

    Raises:
        ValueError: torchaudio is not installed, or does not have the model.
    """
    family, known = PRESETS[model]().family, IMPLEMENTATIONS["torchaudio"].families
    if family not in known:
        raise ValueError(
            f"expected a model of {', '.join(known)}, which torchaudio has to compare with, found "
            f"{model}; bench_training times it alone"
        )
    if not IMPLEMENTATIONS["torchaudio"].installed:
        raise ValueError(
            "expected torchaudio, whose dense model everything is compared to, found none; install "
            "the one that goes with this torch"
        )
    shapes = [model] + [name for name in (f"{model}_s80",) if name in PRESETS]
    subjects = [reference(model)]
    for shape, (name, each) in itertools.product(shapes, IMPLEMENTATIONS.items()):
        fits = PRESETS[shape]().family in each.families and device in each.devices
        if fits and (each.pruned or shape == model):
            if not each.installed:
                logger.warning("leaving out %s, which is not installed", name)
                continue
            subjects += [Subject(shape, name, p) for p in precisions if p in each.precisions]
    return list(dict.fromkeys(subjects))


def reference(model: str) -> Subject:
    """What everything is compared to: torchaudio's dense model in float32."""
    return Subject(model, "torchaudio", "float32")


def save_files(encoder: SSLEncoder, subjects: Sequence[Subject], folder: Path) -> None:
    """Write what :func:`load` needs for ``subjects``, which are all of the shape of ``encoder``."""
    atomic_write(folder / peers.SHAPE, json.dumps(encoder.config.to_dict()))
    for name in dict.fromkeys(subject.implementation for subject in subjects):
        precisions = [each.precision for each in subjects if each.implementation == name]
        IMPLEMENTATIONS[name].save(encoder, folder, precisions)


def load(subject: Subject, folder: Path, device: str) -> Run:
    """What runs ``subject``, from the files in ``folder``."""
    return IMPLEMENTATIONS[subject.implementation].load(folder, subject.precision, device)
