"""Rows of the comparison: what they say, how they are reckoned, how they are written."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.examination import Findings
from benchmarks.implementations import Subject
from benchmarks.timing import Sample, ratio, timing
from espnet_prune.encoder import PRESETS
from espnet_prune.environment import this_environment
from espnet_prune.pruning import count_macs, count_params
from espnet_prune.storage.files import atomic_write


class Input(NamedTuple):
    """Waveforms: how many, and of how many seconds each."""

    batch: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Input:
        """Read ``4x8``.

        Raises:
            ValueError: it is something else.
        """
        batch, _, seconds = text.partition("x")
        try:
            found = cls(int(batch), float(seconds))
        except ValueError:
            found = cls(0, 0.0)
        if min(found) <= 0:
            raise ValueError(
                f"expected an input such as 4x8, four waveforms of eight seconds, found {text!r}"
            )
        return found

    @property
    def samples(self) -> int:
        """Of each waveform, at 16 kHz."""
        return round(self.seconds * 16000)

    def waveforms(self, setting: Setting) -> Tensor:
        """Noise ``(B, T)`` on the setting's device, the same for the same seed."""
        generator = torch.Generator().manual_seed(setting.seed)
        return torch.randn(self.batch, self.samples, generator=generator).to(setting.device)

    def __str__(self) -> str:
        return f"{self.batch} x {self.seconds:g} s"


@dataclass(frozen=True)
class Setting:
    """What all rows of one run have in common; ``malloc`` is how glibc is set up."""

    device: str
    device_name: str
    threads: int
    seed: int
    torch: str
    malloc: str
    commit: str | None
    date: str


@dataclass(frozen=True)
class Row(Setting):
    """One subject on one input; ``bench.json`` has the same keys.

    Attributes:
        model: the name of a preset.
        implementation: whose code ran; ours is ``espnet_prune``.
        precision: of weights and activations; ``int8`` is dynamic, of the linear maps alone.
        batch, seconds: how many waveforms, and how long each is.
        milliseconds, milliseconds_min: median and least time of a call.
        speedup_minima, speedup_medians: over torchaudio's dense model in float32, the ratio of the
            least times and of the median times, over the rounds that have both.
        speedup: the lower of the two, which is what is quoted.
        peak_mib: peak memory of loading the model and of calls, beyond that of the imports; null
            where the system does not tell.
        params: parameters of the model.
        macs: multiply-accumulates of the input.
        mac_reduction: those of the dense model over these.
        mac_efficiency: ``speedup`` over ``mac_reduction``.
        error: largest difference to our encoder's hidden states, over layers, relative in norm.
        rounds: how often it was timed.
        disturbed: in how many of them other processes were busy.
        load_min, load_max: least and greatest load average of the machine when a round began.
    """

    model: str
    implementation: str
    precision: str
    batch: int
    seconds: float
    milliseconds: float
    milliseconds_min: float
    speedup: float
    speedup_minima: float
    speedup_medians: float
    peak_mib: float | None
    params: int
    macs: int
    mac_reduction: float
    mac_efficiency: float
    error: float
    rounds: int
    disturbed: int
    load_min: float
    load_max: float


def this_setting(device: str, threads: int, seed: int) -> Setting:
    """Describe this process."""
    environment = this_environment()
    malloc = {k: v for k, v in sorted(os.environ.items()) if k.startswith("MALLOC_")}
    return Setting(
        device=device,
        device_name=torch.cuda.get_device_name() if device == "cuda" else processor(),
        threads=threads,
        seed=seed,
        torch=environment.torch,
        malloc=" ".join(f"{k}={v}" for k, v in malloc.items()) or "default",
        commit=environment.git_commit,
        date=environment.date,
    )


def make_rows(
    setting: Setting,
    input: Input,
    rounds: Sequence[Mapping[Subject, Sample]],
    baseline: Subject,
    findings: Mapping[Subject, Findings],
) -> list[Row]:
    """One row for each subject of ``findings``; ``baseline`` is in every round."""
    dense_macs = count_macs(PRESETS[baseline.model](), input.seconds).total
    rows = []
    for subject, found in findings.items():
        config = PRESETS[subject.model]()
        macs = count_macs(config, input.seconds).total
        faster = ratio(rounds, baseline, subject)
        speedup = min(faster)
        rows.append(
            Row(
                **asdict(setting),
                **asdict(subject),
                **input._asdict(),
                **timing(rounds, subject)._asdict(),
                speedup=speedup,
                speedup_minima=faster.minima,
                speedup_medians=faster.medians,
                peak_mib=found.peak_mib,
                params=count_params(config).total,
                macs=input.batch * macs,
                mac_reduction=dense_macs / macs,
                mac_efficiency=speedup * macs / dense_macs,
                error=found.error,
            )
        )
    return rows


def write_json(rows: Sequence[Setting], path: Path) -> None:
    """Write a list of objects, rounded to five digits."""
    values = [
        {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in asdict(row).items()}
        for row in rows
    ]
    atomic_write(path, json.dumps(values, indent=1) + "\n")


def groups(rows: Sequence[Row]) -> dict[tuple[str, Input], list[Row]]:
    """The rows by dense model and input, in their order."""
    found: dict[tuple[str, Input], list[Row]] = {}
    for row in rows:
        key = row.model.removesuffix("_s80"), Input(row.batch, row.seconds)
        found.setdefault(key, []).append(row)
    return found


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
