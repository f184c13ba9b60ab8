"""Choose thresholds and the like on a development set: score every point of a grid, keep the best.

Writes the best configuration, and beside it the whole grid as CSV and a plot. For development
sets: what is tuned on a test set says nothing about other recordings.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from espnet_prune.bin.diarizer_options import add_diarizer_options, find_diarizer, read_config
from espnet_prune.bin.errors import explained
from espnet_prune.bin.score_der import add_der_options
from espnet_prune.data import DataError, read_data_dir
from espnet_prune.diarization.inference_config import (
    InferenceConfig,
    config_of_release,
    with_companions,
)
from espnet_prune.diarization.local import require_step
from espnet_prune.diarization.pipeline import Diarizer
from espnet_prune.diarization.tuning import (
    Trial,
    best,
    grid_points,
    local_once,
    require_audio,
    tune,
)
from espnet_prune.report.figure import DENSE, PRUNED, TARGET, new_figure, save_plot, tidy
from espnet_prune.report.rates import RATES
from espnet_prune.report.table import Table, percent
from espnet_prune.storage.config_files import read_yaml
from espnet_prune.storage.files import atomic_write, require_writable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 10  # trials in the table on the terminal; the CSV has all


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_diarizer_options(parser)
    parser.add_argument(
        "data_dir", type=Path, help="development set: wav.scp, rttm, optionally uem"
    )
    parser.add_argument(
        "--grid",
        nargs="+",
        required=True,
        metavar="NAME=VALUE,…",
        help="values to try of keys of the configuration, all combinations of them, say "
        "threshold=0.1,0.2,0.3 min_share=0.05,0.1; a key within another: vbx_conf.Fa=0.05,0.07",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="YAML file of the best configuration; .csv and .png of the same name come beside it",
    )
    add_der_options(parser)
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("tune_diarization"):
        grid = parse_grid(args.grid)
        points = grid_points(grid)
        for suffix in (".csv", ".png"):
            require_writable(args.output.with_suffix(suffix))
        require_writable(args.output)
        data = read_data_dir(args.data_dir)
        require_audio(data)
        model, config = find_diarizer(args)
        plain = read_config(args.config, config_of_release(model))
        changes = [changes_at(point, plain) for point in points]
        configs = [
            with_companions(read_config(None, config, **change), model) for change in changes
        ]
        diarizer = Diarizer.from_pretrained(model, config, args.device)
        for each in configs:
            require_step(diarizer.model, each)
        trials = tune(
            partial(local_once, diarizer), points, configs, data, args.collar, args.skip_overlap
        )
        chosen = best(trials)
        atomic_write(args.output.with_suffix(".csv"), to_csv(trials))
        plot(trials, grid, args.output.with_suffix(".png"))
        # Last: where it is, all is.
        given = read_yaml(args.config) if args.config else {}
        note = (
            f"# Tuned on {args.data_dir}: DER {percent(chosen.score.der)} %, collar {args.collar:g}"
            f" s{', without overlap' * args.skip_overlap}, best of {len(trials)}.\n"
        )
        values = given | changes_at(chosen.values, plain)
        atomic_write(args.output, note + yaml.safe_dump(values, sort_keys=False))
        print(render(trials))


def parse_grid(texts: Sequence[str]) -> dict[str, list[Any]]:
    """The values of each parameter of ``name=value,value`` texts.

    Raises:
        DataError: a text of another form, or a parameter twice.
    """
    grid: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        parts = values.split(",")
        if not name or not equals or not all(parts) or name in grid:
            raise DataError(
                f"expected NAME=VALUE,… with every name once, found {text!r}; "
                "write it as in threshold=0.1,0.2"
            )
        grid[name] = [_value(part) for part in parts]
    return grid


def _value(text: str) -> Any:
    """A number, a word, true, false or null, as in a YAML file, but 1e-3 is a number too."""
    with contextlib.suppress(ValueError):
        return int(text)
    with contextlib.suppress(ValueError):
        return float(text)
    return {"true": True, "false": False, "null": None}.get(text, text)


def changes_at(point: Mapping[str, Any], config: InferenceConfig) -> dict[str, Any]:
    """What a point of the grid changes, by field; of ``a.b``, all of the mapping ``a``.

    Raises:
        DataError: ``a`` is not a mapping.
    """
    changes: dict[str, Any] = {}
    for name, value in point.items():
        field, dot, key = name.partition(".")
        if not dot:
            changes[field] = value
            continue
        mapping = changes.get(field, getattr(config, field, None))
        if not isinstance(mapping, Mapping):
            raise DataError(f"expected a mapping of the configuration, found {field} in {name}")
        changes[field] = {**mapping, key: value}
    return changes


def to_csv(trials: Sequence[Trial]) -> str:
    """All trials in the order of the grid: parameters, then fractions and seconds of speech."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = [{**trial.values, **asdict(trial.score)} for trial in trials]
    writer.writerow(rows[0])
    writer.writerows(row.values() for row in rows)
    return text.getvalue()


def render(trials: Sequence[Trial]) -> str:
    """A Markdown table of the best trials, in percent, the best first."""
    ranked = sorted(trials, key=lambda trial: trial.score.der)[:SHOWN]
    names = list(trials[0].values)
    rows = [
        [*map(str, trial.values.values()), *(percent(getattr(trial.score, r.key)) for r in RATES)]
        for trial in ranked
    ]
    header = [*names, *(rate.name for rate in RATES)]
    lines = [Table(header, rows, words=len(names)).markdown()]
    if len(trials) > len(ranked):
        lines += ["", f"The best {len(ranked)} of {len(trials)}."]
    return "\n".join(lines)


def plot(trials: Sequence[Trial], grid: Mapping[str, Sequence[Any]], path: Path) -> None:
    """Write a PNG with a panel per parameter: DER over its values, every trial a dot."""
    figure = new_figure(1 + 3.6 * len(grid), 3.6)
    panels = figure.subplots(1, len(grid), sharey=True, squeeze=False)[0]
    for axes, (name, values) in zip(panels, grid.items(), strict=True):
        _panel(axes, trials, name, values)
    panels[0].set_ylabel("DER (%)")
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle("DER on the development set")
    save_plot(figure, path)


def _panel(axes: Axes, trials: Sequence[Trial], name: str, values: Sequence[Any]) -> None:
    # Anything but numbers goes evenly along the axis, by its name.
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    place = (lambda value: value) if numbers else str
    ordered = sorted(set(values)) if numbers else list(dict.fromkeys(values))
    ders = {value: [100 * t.score.der for t in trials if t.values[name] == value]
            for value in ordered}  # fmt: skip
    axes.plot(
        [place(value) for value in ordered], [min(ders[value]) for value in ordered],
        color=DENSE, marker="o", markersize=4, label="best at this value", zorder=2,
    )  # fmt: skip
    for index, value in enumerate(ordered):
        label = None if index else "every trial"
        at = [place(value)] * len(ders[value])
        axes.plot(at, ders[value], ".", color=TARGET, alpha=0.35, label=label)
    chosen = best(trials)
    axes.plot(
        place(chosen.values[name]), 100 * chosen.score.der, "*", color=PRUNED, markersize=12,
        label="chosen", zorder=3,
    )  # fmt: skip
    axes.set_xlabel(name)
    axes.margins(x=0.1)
    axes.grid(alpha=0.3)
    tidy(axes)


if __name__ == "__main__":
    main()
