"""The tables of a study, and its figure: error against multiply-accumulates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median

from benchmarks.evidence.results import Row
from espnet_prune.report.figure import DENSE, PRUNED, new_figure, save_plot, tidy
from espnet_prune.report.table import Table
from espnet_prune.scoring.significance import Interval, rate_interval

_EXPLANATION = """\
Rates: errors over totals of the whole set, the mean of the seeds, in brackets the 95 % interval by
10 000 resamples of the {units} (of the mean of the seeds; it says nothing of other seeds, which
stand beside it one by one). Steps and minutes: of the arm and of all trainings that it builds on,
the minutes of the median seed, beside other work on the machine. Parameters and MACs: of the
encoder; of 1 s of audio. MB: of its weights in float32 (10^6 bytes). ms: of its inference form in
float32 for 8 s on one thread, the sum of the least time of each block, the least of the seeds."""

Pairs = list[tuple[float, float]]


def render(rows: Sequence[Row]) -> str:
    """A table of the arms, then one of the differences to the reference, for each set."""
    units = rows[0].units
    lines = ["# Study", "", *_EXPLANATION.format(units=units).splitlines(), "", *_made(rows), ""]
    lines.append(_arms(rows).markdown())
    for name in rows[0].scores:
        lines += ["", f"## {name}: less {_of_reference(rows)[0].title}", ""]
        lines.append(_differences(rows, name).markdown())
    return "\n".join(lines) + "\n"


def plot(rows: Sequence[Row], path: Path, name: str) -> None:
    """Write a figure of the rates of set ``name`` over MACs, with intervals, every arm named."""
    figure = new_figure(8, 4.5)
    axes = figure.subplots()
    for index, group in enumerate(_by_arm(rows).values()):
        macs = mean(row.macs for row in group) / 1e9
        rate, (low, high) = _rate(_mean_counts(group, name))
        colour = DENSE if group[0].arm.startswith("dense") else PRUNED
        ends = [[100 * (rate - low)], [100 * (high - rate)]]
        axes.errorbar(macs, 100 * rate, yerr=ends, fmt="o", color=colour, capsize=3)
        side = (6, 0) if index % 2 else (-6, 0)
        align = "left" if index % 2 else "right"
        axes.annotate(group[0].title, (macs, 100 * rate), side, textcoords="offset points",
                      fontsize=7, va="center", ha=align)  # fmt: skip
    axes.set_xlabel("encoder, G multiply-accumulates per second of audio")
    axes.set_ylabel(f"{rows[0].rate}, {name} (%)")
    axes.margins(x=0.4)
    tidy(axes)
    save_plot(figure, path)


def _made(rows: Sequence[Row]) -> list[str]:
    commits = sorted({str(row.commit)[:7] for row in rows})
    dates = sorted(row.date[:10] for row in rows)
    versions = sorted({f"PyTorch {row.torch}, ESPnet {row.espnet}" for row in rows})
    processors = sorted({row.processor for row in rows})
    sets = [f"{name}: {len(units)} {rows[0].units}" for name, units in rows[0].scores.items()]
    return [f"- {processor}, a thread for each training" for processor in processors] + [
        f"- {', '.join(versions)}; commits {', '.join(commits)}; {dates[0]} to {dates[-1]}",
        f"- {'; '.join(sets)}",
    ]


def _arms(rows: Sequence[Row]) -> Table:
    sets = list(rows[0].scores)
    rates = [head for name in sets for head in (f"{rows[0].rate}, {name} (%)", "by seed (%)")]
    header = ("arm", "seeds", "steps", "minutes", "M params", "MB", "G MACs", "ms", *rates)
    lines = []
    for group in _by_arm(rows).values():
        cells = [group[0].title, str(len(group)), str(group[0].all_steps),
                 f"{median(row.all_seconds for row in group) / 60:.1f}",
                 f"{(params := mean(row.params for row in group)) / 1e6:.3f}",
                 f"{4 * params / 1e6:.2f}",
                 f"{mean(row.macs for row in group) / 1e9:.4f}", _least_ms(group)]  # fmt: skip
        for name in sets:
            rate, interval = _rate(_mean_counts(group, name))
            seeds = [_rate(_counts(row, name))[0] for row in group]
            cells += [_percent(rate, interval), " ".join(f"{100 * each:.2f}" for each in seeds)]
        lines.append(cells)
    return Table(header, lines)


def _least_ms(group: Sequence[Row]) -> str:
    found = [row.ms for row in group if row.ms is not None]
    return f"{min(found):.1f}" if found else ""


def _differences(rows: Sequence[Row], name: str) -> Table:
    """Points by which each arm is above the reference, over the seeds that both have."""
    reference = {row.seed: row for row in _of_reference(rows)}
    header = ("arm", "seeds", "points (95 % interval)", "seed by seed", "all of one sign")
    lines = []
    for group in _by_arm(rows).values():
        pairs = [(row, reference[row.seed]) for row in group if row.seed in reference]
        if not pairs or group[0].reference:
            continue
        each = [_difference(own, theirs, name) for own, theirs in pairs]
        found, interval = _rate(_mean(each))
        seeds = [_rate(counts)[0] for counts in each]
        same = len({value > 0 for value in seeds}) == 1
        lines.append(
            (group[0].title, str(len(pairs)), _percent(found, interval, sign="+"),
             " ".join(f"{100 * value:+.2f}" for value in seeds), "yes" if same else "no")
        )  # fmt: skip
    return Table(header, lines)


def _by_arm(rows: Sequence[Row]) -> dict[str, list[Row]]:
    arms: dict[str, list[Row]] = {}
    for row in rows:
        arms.setdefault(row.arm, []).append(row)
    return arms


def _of_reference(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.reference]


def _counts(row: Row, name: str) -> Pairs:
    units: Mapping[str, Sequence[float]] = row.scores[name]
    return [(units[unit][0], units[unit][1]) for unit in sorted(units)]


def _difference(own: Row, theirs: Row, name: str) -> Pairs:
    pairs = zip(_counts(own, name), _counts(theirs, name), strict=True)
    return [(a[0] - b[0], a[1]) for a, b in pairs]


def _mean(seeds: Sequence[Pairs]) -> Pairs:
    """Errors of each unit as the mean of the seeds; totals are those of any of them."""
    return [(mean(pair[0] for pair in unit), unit[0][1]) for unit in zip(*seeds, strict=True)]


def _mean_counts(group: Sequence[Row], name: str) -> Pairs:
    return _mean([_counts(row, name) for row in group])


def _rate(counts: Pairs) -> tuple[float, Interval]:
    errors, totals = map(sum, zip(*counts, strict=True))
    return errors / totals, rate_interval(counts)


def _percent(rate: float, interval: Interval, sign: str = "") -> str:
    low, high = (f"{100 * end:{sign}.2f}" for end in interval)
    return f"{100 * rate:{sign}.2f} ({low} to {high})"
