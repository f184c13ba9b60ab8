"""The comparison as people read it: one Markdown table per dense model and input."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.implementations import OURS
from benchmarks.results import Row, Setting, groups
from espnet_prune.report.table import Table

_EXPLANATION = """\
All implementations ran on the same random weights and took turns in one process. Speed-up: over
torchaudio's dense model in float32, by the least times, by the medians over rounds, and the lower
of the two, which efficiency and the summary take. Efficiency: speed-up over MAC reduction. Peak
memory: of loading and of calls, in a process of its own, beyond its imports. Error: of the hidden
states to those of our encoder, relative in norm, the worst layer. Disturbed: rounds in which other
processes were busy. Load: the machine's load average when a round began. int8: the linear maps,
quantised dynamically. onnxruntime: our export."""
_HEADER = (
    "model", "implementation", "precision", "ms", "min ms", "speed-up", "by minima",
    "by medians", "MAC reduction", "efficiency", "peak MiB", "error", "disturbed", "load",
)  # fmt: skip


def render(rows: Sequence[Row]) -> str:
    """The whole ``bench.md``."""
    lines = [
        "# Speed beside other implementations",
        "",
        *_EXPLANATION.splitlines(),
        "",
        *describe(rows[0]),
        *_summary(rows),
    ]
    for (model, input), group in groups(rows).items():
        table = Table(_HEADER, [_cells(row) for row in group], words=3).markdown()
        lines += ["", f"## {model}, {input}", "", table]
    return "\n".join(lines) + "\n"


def _summary(rows: Sequence[Row]) -> list[str]:
    """The lines of a table of ours: speed-ups of each pruned shape, and its memory beside dense."""
    precisions = list(dict.fromkeys(row.precision for row in rows if row.implementation == OURS))
    header = ("model", "input", *precisions, "peak MiB, pruned / dense")
    table = []
    for (dense, input), group in groups(rows).items():
        own = {(row.model, row.precision): row for row in group if row.implementation == OURS}
        pruned = [own.get((f"{dense}_s80", precision)) for precision in precisions]
        if any(pruned):
            speeds = [f"{row.speedup:.2f}x" if row else "n/a" for row in pruned]
            peaks = [_peak(own.get((name, precisions[0]))) for name in (f"{dense}_s80", dense)]
            table.append((f"{dense}_s80", str(input), *speeds, " / ".join(peaks)))
    if not table:
        return []
    title = f"In short, the speed-up of ours, and its peak memory in {precisions[0]}:"
    return ["", title, "", Table(header, table, words=2).markdown()]


def describe(setting: Setting) -> list[str]:
    """The lines on where and when."""
    return [
        f"- device: {setting.device_name} ({setting.device}), {setting.threads} CPU threads",
        f"- PyTorch {setting.torch}, malloc: {setting.malloc}, seed {setting.seed}",
        f"- {setting.date}, commit {setting.commit or 'unknown'}",
    ]


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.model,
        row.implementation,
        row.precision,
        f"{row.milliseconds:.1f}",
        f"{row.milliseconds_min:.1f}",
        f"{row.speedup:.2f}x",
        f"{row.speedup_minima:.2f}x",
        f"{row.speedup_medians:.2f}x",
        f"{row.mac_reduction:.2f}x",
        f"{row.mac_efficiency:.2f}",
        _peak(row),
        f"{row.error:.0e}",
        f"{row.disturbed}/{row.rounds}",
        f"{row.load_min:.1f}-{row.load_max:.1f}",
    )


def _peak(row: Row | None) -> str:
    return "unknown" if row is None or row.peak_mib is None else f"{row.peak_mib:.0f}"
