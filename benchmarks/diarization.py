"""What diarizing a recording costs, stage by stage, in a process of its own."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from benchmarks.audio import generate
from benchmarks.memory import peak_meter, run_alone
from benchmarks.results import Setting
from benchmarks.scripted import scripted_diarizer, synthetic_speakers
from benchmarks.stages import STAGES, StageMeter, meter_stages
from benchmarks.table import describe
from espnet_prune.data.audio import AudioStream
from espnet_prune.diarization.pipeline import Diarizer, InferenceConfig
from espnet_prune.report.table import Table

SYNTHETIC = "synthetic embeddings"
"""In the place of a model: clustering and stitching alone, of embeddings around centroids."""
_EXPLANATION = """\
Random weights; the head's decisions are replaced by turns of the speakers, four at most, in every
window, so that the work does not depend on the weights. Seconds: of all threads together, each of
which runs batches of its own. Real-time factor: those per second of audio. Peak memory: the
process's, models included, while the stage ran, beyond its imports. Synthetic embeddings: noise
around a random centroid for each speaker, two speakers in a window; no model runs."""
_HEADER = (
    "model", "embedding", "clustering", "precision", "stage", "minutes", "speakers", "batch",
    "threads", "windows", "embeddings", "seconds", "CPU s", "real-time factor", "peak MiB",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One recording, and how it is diarized.

    Attributes:
        model: the preset of the encoder, or :data:`SYNTHETIC`.
        minutes: of audio.
        speakers: in the recording.
        batch_size: windows per forward pass.
        threads: of the CPU.
    """

    model: str
    minutes: float
    speakers: int
    batch_size: int
    threads: int

    def __str__(self) -> str:
        return (
            f"{self.model}, {self.minutes:g} minutes, {self.speakers} speakers, batch "
            f"{self.batch_size}, {self.threads} threads"
        )


@dataclass(frozen=True)
class StageRow(Setting):
    """One stage for one recording; ``bench_diarization.json`` has the same keys.

    Attributes:
        model, minutes, speakers, batch_size: see :class:`Case`, as of ``threads``.
        embedding, clustering, precision: of the inference configuration.
        stage: of :data:`~benchmarks.stages.STAGES`.
        windows, embeddings: how many there were.
        seconds, cpu_seconds: that the stage took in all threads together, by clock and of CPU.
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
    speakers: int
    batch_size: int
    windows: int
    embeddings: int
    seconds: float
    cpu_seconds: float
    real_time_factor: float
    peak_mib: float | None


def cases_of(
    model: str,
    minutes: Sequence[float],
    speakers: Sequence[int],
    batch_sizes: Sequence[int],
    threads: Sequence[int],
) -> Iterator[Case]:
    """Every length beside the first of all others, then at the first length the rest of each."""
    first = Case(model, minutes[0], speakers[0], batch_sizes[0], threads[0])
    for each in minutes:
        yield replace(first, minutes=each)
    for number in speakers[1:]:
        yield replace(first, speakers=number)
    for size in batch_sizes[1:]:
        yield replace(first, batch_size=size)
    for number in threads[1:]:
        yield replace(first, threads=number)


def measure(case: Case, config: InferenceConfig, setting: Setting) -> list[StageRow]:
    """Diarize a generated recording in a new process.

    Args:
        case: what to diarize; its threads and batch size go before those of the others.
        config: of inference.
        setting: the device and seed to use.

    Raises:
        ChildProcessError: see :func:`~benchmarks.memory.run_alone`.
    """
    config = replace(config, batch_size=case.batch_size)
    values = map(json.dumps, (asdict(case), asdict(config)))
    found = run_alone(str(case), __name__, (*values, setting.device, setting.seed))
    shared = asdict(setting) | asdict(case)
    return [
        StageRow(
            **shared,
            embedding=config.embedding,
            clustering=config.clustering,
            precision=config.precision,
            stage=stage,
            windows=found["windows"],
            embeddings=found["embeddings"],
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            real_time_factor=seconds / (60 * case.minutes),
            peak_mib=peak,
        )
        for stage, (seconds, cpu_seconds, peak) in found["stages"].items()
    ]


def render(rows: Sequence[StageRow]) -> str:
    """The whole ``bench_diarization.md``."""
    lines = ["# Cost of diarization", "", *_EXPLANATION.splitlines(), "", *describe(rows[0]), ""]
    lines.append(Table(_HEADER, [_cells(row) for row in rows], words=5).markdown())
    return "\n".join(lines) + "\n"


def _cells(row: StageRow) -> tuple[str, ...]:
    return (
        row.model,
        row.embedding,
        row.clustering,
        row.precision,
        row.stage,
        f"{row.minutes:g}",
        str(row.speakers),
        str(row.batch_size),
        str(row.threads),
        str(row.windows),
        str(row.embeddings),
        f"{row.seconds:.1f}",
        f"{row.cpu_seconds:.1f}",
        f"{row.real_time_factor:.4f}",
        "unknown" if row.peak_mib is None else f"{row.peak_mib:.0f}",
    )


def main() -> None:
    """The other process: print stages and counts as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case", type=json.loads)
    parser.add_argument("config", type=json.loads)
    parser.add_argument("device")
    parser.add_argument("seed", type=int)
    args = parser.parse_args()
    case, config = Case(**args.case), InferenceConfig(**args.config)
    torch.set_num_threads(case.threads)
    meter = StageMeter(peak_meter(args.device, ("scipy.cluster.hierarchy", "sklearn.cluster")))
    if case.model == SYNTHETIC:
        # Any model: it says how windows and frames lie, and does not run.
        diarizer = scripted_diarizer("whisper_tiny_en", config, args.device, args.seed)
        found = synthetic_speakers(diarizer, case.minutes, case.speakers, args.seed)
        meter_stages(diarizer, meter)
        diarizer.join(found, "meeting")
        counts = len(found.activity), len(found.embeddings)
    else:
        diarizer = scripted_diarizer(case.model, config, args.device, args.seed, case.speakers)
        counts = _diarize(diarizer, case, args.seed, meter)
    stages = {
        name: (meter.seconds[name], meter.cpu_seconds[name], meter.peaks[name])
        for name in STAGES
        if name in meter.peaks
    }
    print(json.dumps({"windows": counts[0], "embeddings": counts[1], "stages": stages}))


def _diarize(diarizer: Diarizer, case: Case, seed: int, meter: StageMeter) -> tuple[int, int]:
    """The number of windows and of embeddings of a generated recording."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "meeting.wav"
        generate(path, case.minutes, seed, case.speakers)
        meter_stages(diarizer, meter)
        with AudioStream(path) as audio:
            found = diarizer.local(audio)
        diarizer.join(found, "meeting")
    return len(found.activity), len(found.embeddings)


if __name__ == "__main__":
    main()
