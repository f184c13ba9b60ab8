"""What a training step costs with a teacher, and with gates."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from benchmarks.results import Input, Setting
from benchmarks.steps import BASELINE, make_steps, peak_of_step, steps_of
from benchmarks.table import describe
from benchmarks.timing import alternate, ratio, timing
from espnet_prune.report.table import Table

logger = logging.getLogger(__name__)

_EXPLANATION = """\
Forward and backward pass; student and teacher are dense, of one shape and weights, drawn at random,
and the steps took turns in one process. Student alone: without a teacher. Distillation: ours, the
teacher in its inference form, in float32 unless said. Pruning: with sampled gates and the penalty
of a budget. Cached teacher: its states are read from files that an earlier pass wrote, and which
lie in memory here. DPHuBERT's and DiariZen's way: distillation and pruning as their public code
does it, rebuilt on torchaudio's model: teacher in its training form, attention with all scores at
once, gates inside, all in float32 (benchmarks/public_ways.py says what was read in their code and
what is a reconstruction). Cost: over distillation without gates, by the least times, by the medians
over rounds, and the higher of the two. Peak memory: of models, gradients and the step, in a process
of its own, beyond its imports. Disturbed: rounds in which other processes were busy. Load: the
machine's load average when a round began."""
_HEADER = (
    "model",
    "input",
    "step",
    "ms",
    "min ms",
    "cost",
    "by minima",
    "by medians",
    "peak MiB",
    "disturbed",
    "load",
)


@dataclass(frozen=True)
class TrainingRow(Setting):
    """One kind of step; ``bench_training.json`` has the same keys.

    Attributes:
        model: the preset that student and teacher are.
        step: of :data:`~benchmarks.steps.STEPS`.
        batch, seconds: how many waveforms, and how long each is.
        milliseconds, milliseconds_min: median and least time of forward and backward pass.
        cost_minima, cost_medians: over distillation without gates, the ratio of the least times and
            of the median times, over the rounds that have both.
        cost: the higher of the two, which is what is quoted.
        peak_mib: see :func:`~benchmarks.steps.peak_of_step`.
        rounds: how often it was timed.
        disturbed: in how many of them other processes were busy.
        load_min, load_max: least and greatest load average of the machine when a round began.
    """

    model: str
    step: str
    batch: int
    seconds: float
    milliseconds: float
    milliseconds_min: float
    cost: float
    cost_minima: float
    cost_medians: float
    peak_mib: float | None
    rounds: int
    disturbed: int
    load_min: float
    load_max: float


def compare_training(
    model: str, input: Input, setting: Setting, rounds: int, limit: float
) -> Iterator[TrainingRow]:
    """Time every one of :func:`~benchmarks.steps.steps_of` the model.

    Args:
        model: the preset that student and teacher are.
        input: the waveforms, unpadded.
        setting: the device, threads and seed to use.
        rounds, limit: see :func:`~benchmarks.timing.alternate`.

    Raises:
        ChildProcessError: see :func:`~benchmarks.memory.run_alone`.
    """
    peaks, names = {}, steps_of(model, setting.device)
    for name in names:
        logger.info("examining %s, %s: %s", model, input, name)
        peaks[name] = peak_of_step(model, name, input, setting)
    logger.info("timing the training of %s, %s", model, input)
    steps = make_steps(model, names, input, setting)
    for step in steps.values():
        step()  # the first one takes longer
    samples = alternate(steps, dict.fromkeys(names, 0.0), BASELINE, rounds, limit)
    for name, peak in peaks.items():
        slower = ratio(samples, name, BASELINE)
        yield TrainingRow(
            **asdict(setting),
            model=model,
            step=name,
            **input._asdict(),
            **timing(samples, name)._asdict(),
            cost=max(slower),
            cost_minima=slower.minima,
            cost_medians=slower.medians,
            peak_mib=peak,
        )


def render(rows: Sequence[TrainingRow]) -> str:
    """The whole ``bench_training.md``."""
    lines = [
        "# Cost of a training step",
        "",
        *_EXPLANATION.splitlines(),
        "",
        *describe(rows[0]),
        "",
        Table(_HEADER, [_cells(row) for row in rows], words=3).markdown(),
    ]
    return "\n".join(lines) + "\n"


def _cells(row: TrainingRow) -> tuple[str, ...]:
    return (
        row.model,
        str(Input(row.batch, row.seconds)),
        row.step,
        f"{row.milliseconds:.0f}",
        f"{row.milliseconds_min:.0f}",
        f"{row.cost:.2f}x",
        f"{row.cost_minima:.2f}x",
        f"{row.cost_medians:.2f}x",
        "unknown" if row.peak_mib is None else f"{row.peak_mib:.0f}",
        f"{row.disturbed}/{row.rounds}",
        f"{row.load_min:.1f}-{row.load_max:.1f}",
    )
