"""The comparison as people read it: one Markdown table per dense model and input."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.results import Row, Setting, groups
from espnet_prune.report.table import Table

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
    lines = [
        "# Speed beside other implementations",
        "",
        *_EXPLANATION.splitlines(),
        "",
        *describe(rows[0]),
    ]
    for (model, input), group in groups(rows).items():
        table = Table(_HEADER, [_cells(row) for row in group], words=3).markdown()
        lines += ["", f"## {model}, {input}", "", table]
    return "\n".join(lines) + "\n"


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
        f"{row.speedup_low:.2f}-{row.speedup_high:.2f}",
        f"{row.mac_reduction:.2f}x",
        f"{row.mac_efficiency:.2f}",
        "unknown" if row.peak_mib is None else f"{row.peak_mib:.0f}",
        f"{row.error:.0e}",
        f"{row.disturbed}/{row.rounds}",
    )
