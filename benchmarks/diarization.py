"""What diarizing a generated meeting costs, stage by stage, in a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from benchmarks.memory import PeakOfCuda, PeakOfProcess, peak_meter, run_alone
from benchmarks.results import Setting
from benchmarks.table import describe
from espnet_prune.data import SAMPLE_RATE
from espnet_prune.data.audio import AudioStream
from espnet_prune.diarization import FrameGrid, Powerset
from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.head import DiarizationConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.pipeline import Diarizer, InferenceConfig
from espnet_prune.diarization.stitching import stitch, to_turns
from espnet_prune.encoder import PRESETS, Featurizer, SSLEncoder
from espnet_prune.report.table import Table

STAGES = ("segmentation", "embedding", "clustering", "stitching")
_EXPLANATION = """\
Random weights; the head's decisions are replaced by turns of two speakers in every window, so that
the work does not depend on the weights. Real-time factor: seconds of work per second of audio.
Peak memory: the process's, models included, while the stage ran, beyond its imports."""
_HEADER = (
    "model", "embedding", "clustering", "stage", "minutes", "windows", "embeddings", "seconds",
    "real-time factor", "peak MiB",
)  # fmt: skip


@dataclass(frozen=True)
class StageRow(Setting):
    """One stage for one recording; ``bench_diarization.json`` has the same keys.

    Attributes:
        model: the preset of the encoder.
        embedding, clustering, precision: of the inference configuration.
        stage: of :data:`STAGES`.
        minutes: of audio.
        windows, embeddings: how many there were.
        seconds: that the stage took in all.
        real_time_factor: those per second of audio.
        peak_mib: peak memory while the stage ran, beyond that of the imports; null where the
            system does not tell.
    """

    model: str
    embedding: str
    clustering: str
    precision: str
    stage: str
    minutes: float
    windows: int
    embeddings: int
    seconds: float
    real_time_factor: float
    peak_mib: float | None


def measure(
    model: str, minutes: float, config: InferenceConfig, setting: Setting
) -> list[StageRow]:
    """Diarize a generated recording in a new process.

    Args:
        model: the preset of the encoder.
        minutes: of audio.
        config: of inference.
        setting: the device, threads and seed to use.

    Raises:
        ChildProcessError: see :func:`~benchmarks.memory.run_alone`.
    """
    values = json.dumps(asdict(config)), setting.device, setting.threads, setting.seed
    found = run_alone(f"{model}, {minutes:g} minutes", __name__, (model, minutes, *values))
    return [
        StageRow(
            **asdict(setting),
            model=model,
            embedding=config.embedding,
            clustering=config.clustering,
            precision=config.precision,
            stage=stage,
            minutes=minutes,
            windows=found["windows"],
            embeddings=found["embeddings"],
            seconds=seconds,
            real_time_factor=seconds / (60 * minutes),
            peak_mib=peak,
        )
        for stage, (seconds, peak) in found["stages"].items()
    ]


def render(rows: Sequence[StageRow]) -> str:
    """The whole ``bench_diarization.md``."""
    lines = ["# Cost of diarization", "", *_EXPLANATION.splitlines(), "", *describe(rows[0]), ""]
    lines.append(Table(_HEADER, [_cells(row) for row in rows], words=4).markdown())
    return "\n".join(lines) + "\n"


def _cells(row: StageRow) -> tuple[str, ...]:
    return (
        row.model,
        row.embedding,
        row.clustering,
        row.stage,
        f"{row.minutes:g}",
        str(row.windows),
        str(row.embeddings),
        f"{row.seconds:.1f}",
        f"{row.real_time_factor:.4f}",
        "unknown" if row.peak_mib is None else f"{row.peak_mib:.0f}",
    )


class StageMeter:
    """Time and peak memory of stages; what happens in an inner stage is not the outer one's."""

    def __init__(self, peak: PeakOfCuda | PeakOfProcess):
        self.seconds: dict[str, float] = defaultdict(float)
        self.peaks: dict[str, float | None] = {}
        self._peak, self._since = peak, 0.0
        self._names: list[str] = []

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The block is of stage ``name``."""
        self._account()
        self._names.append(name)
        try:
            yield
        finally:
            self._account()
            self._names.pop()

    def _account(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds, peak = time.perf_counter() - self._since, self._peak.restart()
        if self._names:
            name = self._names[-1]
            self.seconds[name] += seconds
            known = self.peaks.get(name, 0.0)
            self.peaks[name] = None if peak is None or known is None else max(known, peak)
        self._since = time.perf_counter()


class ScriptedHead(nn.Module):
    """A head that does its work, and then decides as a script says."""

    def __init__(self, head: Any, powerset: Powerset, grid: FrameGrid):
        super().__init__()
        self.head, self.powerset, self.grid = head, powerset, grid
        self.turn = round(2.0 / grid.shift)  # frames

    def inference_form(self, dtype: torch.dtype) -> ScriptedHead:
        """The same script, with the work of the head's own form."""
        return ScriptedHead(self.head.inference_form(dtype), self.powerset, self.grid)

    def forward(self, features: Tensor, *lengths: Tensor) -> Tensor:
        """Features ``(B, L, D)``, and frames ``(B,)`` if need be, to scores ``(B, L, K)``.

        Two speakers take turns of two seconds, the last half second of each in overlap.
        """
        scores = self.head(features, *lengths)
        place = torch.arange(scores.size(1), device=scores.device)
        turn, rest = place // self.turn % 2, place % self.turn
        active = scores.new_zeros(1, scores.size(1), self.powerset.max_speakers)
        active[0, place, turn] = 1.0
        active[0, rest >= 3 * self.turn // 4, :2] = 1.0
        script = nn.functional.one_hot(self.powerset.to_classes(active), scores.size(-1))
        return scores + 1e4 * script


def generate(path: Path, minutes: float, seed: int) -> None:
    """Write 16 kHz audio in which four voices, tones with their harmonics, take turns."""
    generator = np.random.default_rng(seed)
    remaining = round(60 * minutes * SAMPLE_RATE)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1) as file:
        while remaining > 0:
            length = min(remaining, int(generator.uniform(2, 6) * SAMPLE_RATE))
            pitch = 90 + 50 * generator.integers(4)
            phase = 2 * np.pi * pitch * np.arange(length) / SAMPLE_RATE
            voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 20))
            noise = generator.standard_normal(length)
            file.write((0.1 * voice + 0.01 * noise).astype(np.float32))
            remaining -= length


def main() -> None:
    """The other process: print stages and counts as JSON."""
    parser = argparse.ArgumentParser()
    kinds: dict[str, Callable[[str], Any]] = {
        "model": str, "minutes": float, "config": json.loads, "device": str, "threads": int,
        "seed": int,
    }  # fmt: skip
    for name, kind in kinds.items():
        parser.add_argument(name, type=kind)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    meter = StageMeter(peak_meter(args.device, ("scipy.cluster.hierarchy", "sklearn.cluster")))
    featurizer = Featurizer(SSLEncoder(PRESETS[args.model]()))
    model = DiarizationModel(featurizer, DiarizationConfig())
    grid = FrameGrid.of(model.encoder.config)
    model.register_module("head", ScriptedHead(model.head, model.powerset, grid))
    diarizer = Diarizer(model, InferenceConfig(**args.config), args.device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "meeting.wav"
        generate(path, args.minutes, args.seed)
        windows, embeddings = _diarize(diarizer, path, meter)
    stages = {stage: (meter.seconds[stage], meter.peaks[stage]) for stage in STAGES}
    print(json.dumps({"windows": windows, "embeddings": embeddings, "stages": stages}))


def _diarize(diarizer: Diarizer, path: Path, meter: StageMeter) -> tuple[int, int]:
    """What :meth:`Diarizer.diarize` does, metered; the number of windows and of embeddings."""
    local, embedder = diarizer.local, diarizer.local.networks.embedder

    class Metered:
        layers = embedder.layers

        def __call__(
            self, stretch: Stretch, states: Mapping[int, Tensor], weights: Tensor
        ) -> Tensor:
            with meter.stage("embedding"):
                return embedder(stretch, states, weights)

    local.networks.embedder = Metered()
    with meter.stage("segmentation"), AudioStream(path) as audio:
        found = local(audio)
    with meter.stage("clustering"):
        labels = diarizer.label(found)
    with meter.stage("stitching"):
        active = stitch(found.activity, labels, found.first_frames, found.num_frames)
        to_turns(active, "meeting", local.grid)
    return len(found.activity), len(found.embeddings)


if __name__ == "__main__":
    main()
