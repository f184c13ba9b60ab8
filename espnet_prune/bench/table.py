"""The comparison as people read it: one Markdown table per dense model and input."""

from __future__ import annotations

from collections.abc import Sequence

from espnet_prune.bench.results import Row, groups

_EXPLANATION = """\
All implementations ran on the same random weights and took turns in one process. Speed-up: over
torchaudio's dense model in float32; the median over rounds, spread from the 10th to the 90th
percentile. Efficiency: speed-up over MAC reduction. Peak memory: of loading and of calls, in a
process of its own, beyond its imports. Error: of the hidden states to those of our encoder,
relative in norm, the worst layer. Disturbed: rounds in which other processes were busy. int8: the
linear maps, quantised dynamically. onnxruntime: our export."""
_HEADER = (
    "model", "implementation", "precision", "ms", "min ms", "speed-up", "spread",
    "MAC reduction", "efficiency", "peak MiB", "error", "disturbed",
)  # fmt: skip


def render(rows: Sequence[Row]) -> str:
    """The whole ``bench.md``."""
    first = rows[0]
    lines = [
        "# Speed beside other implementations",
        "",
        *_EXPLANATION.splitlines(),
        "",
        f"- device: {first.device_name} ({first.device}), {first.threads} CPU threads",
        f"- PyTorch {first.torch}, malloc: {first.malloc}, seed {first.seed}",
        f"- {first.date}, commit {first.commit or 'unknown'}",
    ]
    for (model, input), group in groups(rows).items():
        lines += ["", f"## {model}, {input}", "", *_table([_cells(row) for row in group])]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.model,
        row.implementation,
        row.precision,
        f"{row.milliseconds:.1f}",
        f"{row.milliseconds_min:.1f}",
        f"{row.speedup:.2f}x",
        f"{row.speedup_low:.2f}-{row.speedup_high:.2f}",
        f"{row.mac_reduction:.2f}x",
        f"{row.mac_efficiency:.2f}",
        "unknown" if row.peak_mib is None else f"{row.peak_mib:.0f}",
        f"{row.error:.0e}",
        f"{row.disturbed}/{row.rounds}",
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(_HEADER, *rows, strict=True)]
    text = 3  # columns on the left, numbers on the right
    lines = []
    for cells in (_HEADER, *rows):
        padded = [c.ljust(w) for c, w in zip(cells[:text], widths[:text], strict=True)]
        padded += [c.rjust(w) for c, w in zip(cells[text:], widths[text:], strict=True)]
        lines.append(f"| {' | '.join(padded)} |")
    rule = [f"{'-' * (w + 2)}" for w in widths[:text]]
    rule += [f"{'-' * (w + 1)}:" for w in widths[text:]]
    return [lines[0], f"|{'|'.join(rule)}|", *lines[1:]]
