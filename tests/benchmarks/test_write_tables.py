"""The page of speed holds what the results files say, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import pipeline, table, write_tables
from benchmarks.pipeline import Recording, make_row
from benchmarks.pipeline_worker import Sample
from benchmarks.results import this_setting, write_json
from tests.benchmarks.test_results import rows

PAGE = """# Speed

<!-- begin bench.json -->
old
<!-- end bench.json -->
between
<!-- begin bench_pipeline.json -->
<!-- end bench_pipeline.json -->
"""


def test_tables_are_those_of_the_results(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    page.write_text(PAGE)
    recording, setting = Recording(Path("a"), "voices", 60.0), this_setting("cpu", 2, 0)
    samples = [
        (1.0, Sample(3.0, 2.0, None, 2, {"head": 1.0})),
        (2.0, Sample(4.0, 2.0, None, 2, {})),
    ]
    samples[1][1].stages.update(head=3.0)
    row = make_row("one", "alone", recording, setting, samples, "")
    write_json([row], tmp_path / "bench_pipeline.json")
    write_json(rows(4, 8.0), tmp_path / "bench.json")
    command = [str(page), *(str(tmp_path / f"bench{name}.json") for name in ("", "_pipeline"))]
    write_tables.main(command)
    text = page.read_text()
    assert "old" not in text and "\nbetween\n" in text and text.startswith("# Speed\n\n<!--")
    shown = table.render(rows(4, 8.0)) + pipeline.render([row])
    assert "### wavlm_base_plus, 4 x 8 s" in text and "| one " in text
    assert {line for line in shown.splitlines() if line.startswith("|")} == {
        line for line in text.splitlines() if line.startswith("|")
    }
    write_tables.main(command)
    assert page.read_text() == text


def test_results_that_are_kept_are_read() -> None:
    path = Path(__file__).parents[2] / "docs/results/bench_pipeline.json"
    shown = write_tables.tables(path, write_tables.read_rows(path))
    assert "hours per hour and core" in shown and "n/a" not in shown


@pytest.mark.parametrize(
    "name, results, page, message",
    [
        ("other.json", "[]", PAGE, "other.json: expected one of bench.json"),
        ("bench.json", '[{"speedup_low": 1}]', PAGE, "expected rows of this version .*speedup_low"),
        ("bench.json", None, "# Speed\n", "expected the lines <!-- begin bench.json --> and"),
        ("bench.json", None, PAGE + PAGE, "once; add them"),
    ],
)
def test_what_does_not_fit_leaves_the_page(tmp_path: Path, name, results, page, message) -> None:
    write_json(rows(4, 8.0), tmp_path / name)
    if results:
        (tmp_path / name).write_text(results)
    (tmp_path / "page.md").write_text(page)
    with pytest.raises(SystemExit, match=f"write_tables: .*{message}"):
        write_tables.main([str(tmp_path / "page.md"), str(tmp_path / name)])
    assert (tmp_path / "page.md").read_text() == page
