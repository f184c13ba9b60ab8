"""Write the tables of a page, as docs/speed.md or docs/evidence.md, from results files.

In the page, what lies between the lines <!-- begin NAME --> and <!-- end NAME --> is replaced by
the tables of the results file of that name, bench.json for example; all else stays as it is. Of a
study, a figure is written beside its results file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import diarization, pipeline, run_bench_precisions, table, training
from benchmarks.evidence import results as evidence
from benchmarks.evidence import table as evidence_table
from benchmarks.results import Row
from espnet_prune.bin.errors import explained
from espnet_prune.storage.files import atomic_write

_KINDS: dict[str, tuple[Callable[..., Any], Callable[[Any], str]]] = {
    "bench.json": (Row, table.render),
    "bench_loaded.json": (Row, table.render),
    "bench_training.json": (training.TrainingRow, training.render),
    "bench_diarization.json": (diarization.StageRow, diarization.render),
    "bench_pipeline.json": (pipeline.PipelineRow, pipeline.render),
    "bench_stretches.json": (pipeline.PipelineRow, pipeline.render),
    "bench_precisions.json": (run_bench_precisions.PrecisionRow, run_bench_precisions.render),
    **{f"study_{name}.json": (evidence.Row, evidence_table.render) for name in "abcde"},
}


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("page", type=Path, help="Markdown file with such lines")
    help_ = f"results files, of the names {', '.join(_KINDS)}"
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULTS", help=help_)
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("write_tables"):
        page = args.page.read_text()
        for path in args.results:
            rows = read_rows(path)
            page = fill(page, path.name, tables(path, rows))
            if isinstance(rows[0], evidence.Row):
                evidence_table.plot(rows, path.with_suffix(".png"), next(iter(rows[0].scores)))
        atomic_write(args.page, page)


def read_rows(path: Path) -> list[Any]:
    """The rows of a results file.

    Raises:
        ValueError: the file is none of the known names, or its rows have other keys.
    """
    if path.name not in _KINDS:
        raise ValueError(f"{path}: expected one of {', '.join(_KINDS)}; rename it")
    make, _ = _KINDS[path.name]
    try:
        rows = [make(**values) for values in json.loads(path.read_text())]
    except TypeError as error:
        raise ValueError(
            f"{path}: expected rows of this version ({error}); measure again"
        ) from None
    if not rows:
        raise ValueError(f"{path}: expected rows, found none; measure again")
    return rows


def tables(path: Path, rows: Sequence[Any]) -> str:
    """What the ``rows`` of a results file say, in Markdown of headings from the third level on."""
    _, render = _KINDS[path.name]
    _, _, rest = render(rows).partition("\n\n")  # after the title
    lines = [f"#{line}" if line.startswith("##") else line for line in rest.splitlines()]
    return "\n".join(lines)


def fill(page: str, name: str, content: str) -> str:
    """The page with ``content`` between the lines that begin and end ``name``.

    Raises:
        ValueError: the page does not have each of these lines once, in that order.
    """
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended) or begin in after or end in before + after:
        raise ValueError(f"expected the lines {begin.strip()} and {end.strip()} once; add them")
    return f"{before}{begin}{content}\n{end}{after}"


if __name__ == "__main__":
    main()
