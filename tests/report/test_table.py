"""The table shows fractions in percent, parameters in millions, and what is missing."""

from __future__ import annotations

from dataclasses import replace

from espnet_prune.environment import Environment
from espnet_prune.report.rates import Difference
from espnet_prune.report.results import ModelResults, Results, render_results

DENSE = ModelResults(
    params=2_000_000,
    macs=500_000_000,
    seconds=0.08,
    model_params=2_500_000,
    steps=700,
    train_seconds=90.0,
    der_low=0.22,
    der_high=0.28,
    der=0.25,
    miss=0.1,
    false_alarm=0.1,
    confusion=0.05,
    jer=0.4,
    der_by_variant={"bfloat16": 0.251, "int8": 0.27},
)
PRUNED = ModelResults(
    params=400_000,
    macs=100_000_000,
    seconds=0.02,
    model_params=900_000,
    steps=1700,
    train_seconds=150.0,
    der_low=0.23,
    der_high=0.29,
    der=0.26,
    miss=0.12,
    false_alarm=0.09,
    confusion=0.05,
    jer=None,
    der_by_variant={"bfloat16": 0.262},
)


def make_results(environment: Environment) -> Results:
    found = "test", 0, 0.8, 4.0, DENSE, PRUNED, {"a_train": 12.3}, "cpu", 2, environment
    return Results(*found, Difference(0.01, -0.005, 0.025))


def rows(text: str) -> dict[str, list[str]]:
    cells = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in cells}


def test_tables() -> None:
    text = render_results(make_results(Environment("d", "3.11", "2.8", "202511", "abc", "c")), "x")
    table = rows(text)
    assert table["parameters (M)"] == ["2.000", "0.400"]
    assert table["sparsity (%)"] == ["0.0", "80.0"]
    assert table["MACs (G per s of audio)"] == ["0.500", "0.100"]
    assert table["time of 8 s (ms)"] == ["80.0", "20.0"]
    assert table["speed-up"] == ["1.00x", "4.00x"]
    assert table["parameters with head (M)"] == ["2.500", "0.900"]
    assert table["training steps"] == ["700", "1700"]
    assert table["training (min)"] == ["1.5", "2.5"]
    assert table["DER (%)"] == ["25.00", "26.00"]
    assert table["DER, 95 % from"] == ["22.00", "23.00"]
    assert table["DER, 95 % to"] == ["28.00", "29.00"]
    assert table["points"] == ["+1.00", "-0.50", "+2.50"]
    assert table["confusion (%)"] == ["5.00", "5.00"]
    assert table["JER (%)"] == ["40.00", "n/a"]
    assert table["DER, bfloat16 (%)"] == ["25.10", "26.20"]
    assert table["DER, int8 (%)"] == ["27.00", "n/a"]


def test_a_dense_model_that_was_trained_on() -> None:
    results = make_results(Environment("d", "3.11", "2.8", "202511", "abc", "c"))
    longer = replace(DENSE, steps=1700, der=0.24)
    text = render_results(replace(results, dense_continued=longer), "x")
    assert "| dense | pruned | dense, trained on |" in " ".join(text.split())
    assert rows(text)["training steps"] == ["700", "1700", "1700"]
    assert rows(text)["DER (%)"] == ["25.00", "26.00", "24.00"]


def test_shape_of_espnet() -> None:
    text = render_results(make_results(Environment("d", "3.11", "2.8", "202511", "abc", "c")), "x")
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["# RESULTS", "## Environments", "## x", "### SSL encoder", "### DER"]
    assert "- Git hash: `abc`" in text
    assert "espnet 202511" in text


def test_environment_without_git_and_espnet() -> None:
    text = render_results(make_results(Environment("d", "3.11", "2.8", None, None, None)), "x")
    assert "Git" not in text
    assert "not installed" in text
