"""What a training step costs with a teacher, and with gates."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from benchmarks.results import Input, Setting
from benchmarks.steps import BASELINE, STEPS, make_steps, peak_of_step
from benchmarks.table import describe
from benchmarks.timing import alternate, ratio, timing
from espnet_prune.report.table import Table

logger = logging.getLogger(__name__)

_EXPLANATION = """\
Forward and backward pass; student and teacher are dense, of one shape, with random weights, and
the steps took turns in one process. Cost: over distillation without gates, the median over rounds,
spread from the 10th to the 90th percentile. Peak memory: of models, gradients and the step, in a
process of its own, beyond its imports. Disturbed: rounds in which other processes were busy."""
_HEADER = ("model", "input", "step", "ms", "min ms", "cost", "spread", "peak MiB", "disturbed")


@dataclass(frozen=True)
class TrainingRow(Setting):
    """One kind of step; ``bench_training.json`` has the same keys.

    Attributes:
        model: the preset that student and teacher are.
        step: of :data:`~benchmarks.steps.STEPS`.
        batch, seconds: how many waveforms, and how long each is.
        milliseconds, milliseconds_min: median and least time of forward and backward pass.
        cost: over that of distillation without gates, the median over rounds of the ratio between
            the two times of one round.
        cost_low, cost_high: the tenth and the ninetieth percentile of these ratios.
        peak_mib: see :func:`~benchmarks.steps.peak_of_step`.
        rounds: how often it was timed.
        disturbed: in how many of them other processes were busy.
    """

    model: str
    step: str
    batch: int
    seconds: float
    milliseconds: float
    milliseconds_min: float
    cost: float
    cost_low: float
    cost_high: float
    peak_mib: float | None
    rounds: int
    disturbed: int


def compare_training(
    model: str, input: Input, setting: Setting, rounds: int, limit: float
) -> Iterator[TrainingRow]:
    """Time every one of :data:`~benchmarks.steps.STEPS`.

    Args:
        model: the preset that student and teacher are.
        input: the waveforms, unpadded.
        setting: the device, threads and seed to use.
        rounds, limit: see :func:`~benchmarks.timing.alternate`.

    Raises:
        ChildProcessError: see :func:`~benchmarks.memory.run_alone`.
    """
    peaks = {}
    for name in STEPS:
        logger.info("examining %s, %s: %s", model, input, name)
        peaks[name] = peak_of_step(model, name, input, setting)
    logger.info("timing the training of %s, %s", model, input)
    steps = make_steps(model, list(STEPS), input, setting)
    for step in steps.values():
        step()  # the first one takes longer
    samples = alternate(steps, dict.fromkeys(STEPS, 0.0), BASELINE, rounds, limit)
    for name, peak in peaks.items():
        low, cost, high = ratio(samples, name, BASELINE)
        yield TrainingRow(
            **asdict(setting),
            model=model,
            step=name,
            **input._asdict(),
            **timing(samples, name)._asdict(),
            cost=cost,
            cost_low=low,
            cost_high=high,
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
        f"{row.cost_low:.2f}-{row.cost_high:.2f}",
        "unknown" if row.peak_mib is None else f"{row.peak_mib:.0f}",
        f"{row.disturbed}/{row.rounds}",
    )
