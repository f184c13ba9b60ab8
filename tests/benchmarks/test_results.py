"""The arithmetic of the rows, their keys, the table and the plot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.examination import Findings
from benchmarks.implementations import OURS, Subject, reference
from benchmarks.plot import plot
from benchmarks.results import Input, Row, groups, make_rows, this_setting, write_json
from benchmarks.table import render
from benchmarks.timing import Sample
from espnet_prune.encoder import PRESETS
from espnet_prune.pruning import count_macs, count_params

BASELINE = reference("wavlm_base_plus")
SLOW = Subject("wavlm_base_plus", "transformers", "float32")
PRUNED = Subject("wavlm_base_plus_s80", OURS, "bfloat16")
FOUND = Findings(seconds=1.0, peak_mib=600.0, error=1e-6)


def rows(batch: int, seconds: float) -> list[Row]:
    """Of five rounds; the slow one is in a single one."""
    times = [(0.6, 0.05), (0.8, 0.05), (0.6, 0.06), (0.6, 0.04), (0.7, 0.05)]
    rounds = [
        {BASELINE: Sample(b, False, 1.0), PRUNED: Sample(p, p > 0.05, 100 * p)} for b, p in times
    ]
    rounds[1][SLOW] = Sample(1.6, False, 2.0)
    setting = this_setting("cpu", 2, 0)
    findings = {BASELINE: FOUND, SLOW: FOUND._replace(peak_mib=None), PRUNED: FOUND}
    return make_rows(setting, Input(batch, seconds), rounds, BASELINE, findings)


def test_arithmetic() -> None:
    dense, slow, pruned = rows(4, 8.0)
    assert (dense.speedup, dense.speedup_minima, dense.speedup_medians) == (1.0, 1.0, 1.0)
    assert (dense.mac_reduction, dense.mac_efficiency, dense.rounds) == (1.0, 1.0, 5)
    assert pruned.speedup_minima == pytest.approx(0.6 / 0.04)
    assert pruned.speedup == pruned.speedup_medians == pytest.approx(0.6 / 0.05)
    assert (pruned.load_min, pruned.load_max) == pytest.approx((4.0, 6.0))
    assert (pruned.milliseconds, pruned.milliseconds_min) == pytest.approx((50.0, 40.0))
    assert (pruned.rounds, pruned.disturbed) == (5, 1)
    assert slow.speedup == slow.speedup_minima == slow.speedup_medians == pytest.approx(0.5)
    assert (slow.rounds, slow.milliseconds, slow.peak_mib) == (1, 1600.0, None)


def test_counts_are_those_of_the_input() -> None:
    dense, _, pruned = rows(4, 8.0)
    shapes = {row.model: PRESETS[row.model]() for row in (dense, pruned)}
    for row in (dense, pruned):
        assert row.params == count_params(shapes[row.model]).total
        assert row.macs == 4 * count_macs(shapes[row.model], 8.0).total
    assert pruned.mac_reduction == pytest.approx(dense.macs / pruned.macs)
    assert pruned.mac_reduction == pytest.approx(6.06, abs=0.005)
    assert pruned.mac_efficiency == pytest.approx(pruned.speedup / pruned.mac_reduction)


def test_json(tmp_path: Path) -> None:
    write_json(rows(4, 8.0), tmp_path / "bench.json")
    found = json.loads((tmp_path / "bench.json").read_text())
    assert [row["model"] for row in found] == ["wavlm_base_plus"] * 2 + ["wavlm_base_plus_s80"]
    assert [row["implementation"] for row in found][-1] == "espnet_prune"
    required = {"device", "model", "implementation", "precision", "batch", "seconds", "speedup"}
    for row in found:
        assert required | {"peak_mib", "milliseconds", "mac_reduction", "seed"} <= set(row)
        assert (row["device"], row["batch"], row["seconds"], row["threads"]) == ("cpu", 4, 8, 2)
    assert found[-1]["speedup"] == 12.0


def test_table() -> None:
    both = rows(1, 8.0) + rows(1, 0.5)
    assert list(groups(both)) == [
        ("wavlm_base_plus", Input(1, 8.0)),
        ("wavlm_base_plus", Input(1, 0.5)),
    ]
    text = render(both)
    assert "## wavlm_base_plus, 1 x 8 s" in text and "## wavlm_base_plus, 1 x 0.5 s" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    summary, lines = lines[:4], lines[4:]
    assert [line.split("|")[3].strip() for line in summary[2:]] == ["12.00x", "12.00x"]
    assert summary[2].split("|")[4].strip() == "600 / unknown"
    assert len(lines) == 2 * 5 and len({len(line) for line in lines[:5]}) == 1
    cells = [cell.strip() for cell in lines[4].split("|")[1:-1]]
    assert cells == [
        "wavlm_base_plus_s80", "espnet_prune", "bfloat16", "50.0", "40.0", "12.00x", "15.00x",
        "12.00x", "6.06x", "1.98", "600", "1e-06", "1/5", "4.0-6.0",
    ]  # fmt: skip
    assert "unknown" in lines[3]


def test_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot(rows(1, 8.0) + rows(1, 0.5), tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "text", ["", "8", "x8", "4x", "0x8", "-1x8", "4x0", "4x-8", "1.5x8", "axb"]
)
def test_inputs_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected an input such as 4x8"):
        Input.parse(text)


def test_inputs() -> None:
    assert Input.parse("4x8") == Input(4, 8.0)
    assert (Input.parse("1x0.5").samples, str(Input.parse("1x30"))) == (8000, "1 x 30 s")
