"""Tabulate what probe_encoder found: size and accuracy of each encoder, over one or more seeds."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from egs2.TEMPLATE.ssl_prune1.probing.probe_encoder import MACS_SECONDS
from espnet_prune.bin.errors import explained
from espnet_prune.data import DataError
from espnet_prune.environment import this_environment
from espnet_prune.report.history import read_history
from espnet_prune.report.table import Table, percent
from espnet_prune.storage.config_files import read_json
from espnet_prune.storage.files import atomic_write


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "results", nargs="+", type=Path, help="files of probe_encoder, one per seed"
    )
    parser.add_argument(
        "--training",
        nargs="*",
        type=Path,
        default=[],
        help="folders of trainings whose time is reported",
    )
    parser.add_argument("--output", type=Path, help="Markdown file to write as well")
    return parser


def read_results(path: Path) -> dict[str, Any]:
    """Read the output of ``probe_encoder``.

    Raises:
        DataError: the file is truncated or another one.
    """
    try:
        results = read_json(path)
        for size in results["encoders"].values():
            _numbers(size["params"], size["macs"])
        for probe in results["probes"].values():
            for key in ("accuracy", "interval"):
                if probe[key].keys() != results["encoders"].keys():
                    raise KeyError(key)
            _numbers(probe["utterances"], probe["classes"], *probe["accuracy"].values())
            for low, high in probe["interval"].values():
                _numbers(low, high)
        return {key: results[key] for key in ("seed", "encoders", "probes")}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: expected the output of probe_encoder, found a truncated or foreign file "
            f"({error!r}); run it again"
        ) from error


def _numbers(*values: object) -> None:
    if not all(isinstance(value, int | float) for value in values):
        raise TypeError(f"numbers among {values}")


def render_table(runs: Sequence[dict[str, Any]]) -> str:
    """One row per encoder: size of the first run, accuracies as mean ± deviation over all.

    The accuracy of a single run has its 95 % interval over speakers beside it.

    Args:
        runs: what :func:`read_results` returns, of different seeds.

    Raises:
        DataError: the runs have different encoders or probes.
    """
    first = runs[0]
    for run in runs[1:]:
        if any(run[key].keys() != first[key].keys() for key in ("encoders", "probes")):
            raise DataError("expected results of the same encoders and probes, found different")
    header = ["encoder", "parameters (M)", f"MACs (G per {MACS_SECONDS:g} s)"]
    header += [f"{name} (%)" for name in first["probes"]]
    rows = []
    for name, size in first["encoders"].items():
        row = [name, f"{size['params'] / 1e6:.3f}", f"{size['macs'] / 1e9:.3f}"]
        for probe in first["probes"]:
            row.append(_percent([run["probes"][probe] for run in runs], name))
        rows.append(row)
    return Table(header, rows).markdown()


def _percent(probes: Sequence[dict[str, Any]], name: str) -> str:
    values = [probe["accuracy"][name] for probe in probes]
    if len(values) == 1:
        return percent(values[0], probes[0]["interval"][name])
    return f"{100 * statistics.mean(values):.1f} ± {100 * statistics.stdev(values):.1f}"


def _notes(runs: Sequence[dict[str, Any]], trainings: Sequence[Path]) -> list[str]:
    notes = [
        this_environment().markdown(),
        "- Seeds: " + ", ".join(str(run["seed"]) for run in runs),
    ]
    for name, probe in runs[0]["probes"].items():
        notes.append(
            f"- {name}: {probe['classes']} classes, accuracy over {probe['utterances']} labels"
        )
    for folder in trainings:
        seconds = read_history(folder / "checkpoint.pth").seconds
        notes.append(f"- {folder.name}: {seconds:.0f} s of training")
    return notes


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("probe_report"):
        runs = [read_results(path) for path in args.results]
        table = render_table(runs)
        if args.output:
            lines = ["# RESULTS", "", *_notes(runs, args.training), "", table, ""]
            atomic_write(args.output, "\n".join(lines))
        print(table)


if __name__ == "__main__":
    main()
