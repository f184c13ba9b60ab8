"""Choose thresholds and the like on a development set: score every point of a grid, keep the best.

Writes the best configuration, and beside it the whole grid as CSV and a plot. For development
sets: what is tuned on a test set says nothing about other recordings.
"""

from __future__ import annotations

import contextlib
import csv
import io
from argparse import ArgumentParser, RawDescriptionHelpFormatter
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
from espnet_prune.report.figure import DENSE, PRUNED, TARGET, new_figure, save_plot, tidy
from espnet_prune.report.rates import RATES
from espnet_prune.report.table import Table, percent
from espnet_prune.storage.config_files import read_yaml
from espnet_prune.storage.files import atomic_write, require_writable

# What is imported within functions brings torch: --help does without.
if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from espnet_prune.diarization.inference_config import InferenceConfig
    from espnet_prune.diarization.tuning import Trial

SHOWN = 10  # trials in the table on the terminal; the CSV has all


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    add_diarizer_options(parser)
    add = parser.add_argument
    add("data_dir", type=Path, help="development set: wav.scp, rttm, optionally uem")
    add(
        "--grid",
        nargs="+",
        required=True,
        metavar="NAME=VALUE,…",
        help="values to try of keys of the configuration, all combinations of them, say "
        "threshold=0.1,0.2,0.3 min_share=0.05,0.1; a key within another: vbx_conf.Fa=0.05,0.07",
    )
    add("--output", type=Path, required=True, help="YAML file of the best configuration")
    add_der_options(parser)
    return parser


@explained("tune_diarization")
def main(cmd: list[str] | None = None) -> None:
    # Options may stand between the model and the data.
    args = get_parser().parse_intermixed_args(cmd)
    from espnet_prune.diarization.inference_config import with_companions
    from espnet_prune.diarization.local import require_step
    from espnet_prune.diarization.pipeline import Diarizer
    from espnet_prune.diarization.tuning import best, grid_points, local_once, require_audio, tune
    from espnet_prune.inference import usable_device

    device = usable_device(args.device)
    points = grid_points(parse_grid(args.grid))
    for output in (*map(args.output.with_suffix, (".csv", ".png")), args.output):
        require_writable(output)
    data = read_data_dir(args.data_dir)
    require_audio(data)
    model, config = find_diarizer(args)
    changes = [changes_at(point, config) for point in points]
    configs = [with_companions(read_config(None, config, **change), model) for change in changes]
    diarizer = Diarizer.from_pretrained(model, config, device)
    for each in configs:
        require_step(diarizer.model, each.step)
    trials = tune(
        partial(local_once, diarizer), points, configs, data, args.collar, args.skip_overlap
    )
    chosen = best(trials)
    atomic_write(args.output.with_suffix(".csv"), _to_csv(trials))
    _plot(trials, chosen, args.output.with_suffix(".png"))
    # Last: where it is, all is.
    note = (
        f"# Tuned on {args.data_dir}: DER {percent(chosen.score.der)} %, collar {args.collar:g}"
        f" s{', without overlap' * args.skip_overlap}, best of {len(trials)}.\n"
    )
    given = read_yaml(args.config) if args.config else {}
    values = given | changes_at(chosen.values, config)
    atomic_write(args.output, note + yaml.safe_dump(values, sort_keys=False))
    print(_render(trials))


def parse_grid(texts: Sequence[str]) -> dict[str, list[Any]]:
    """The values of each parameter of ``name=value,value`` texts."""
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
    """What a point of the grid changes, by field; of ``a.b``, all of the mapping ``a``."""
    changes: dict[str, Any] = {}
    for name, value in point.items():
        field, dot, key = name.partition(".")
        if dot:
            mapping = changes.get(field, getattr(config, field, None))
            if not isinstance(mapping, Mapping):
                raise DataError(f"expected a mapping of the configuration, found {field} in {name}")
            value = {**mapping, key: value}
        changes[field] = value
    return changes


def _to_csv(trials: Sequence[Trial]) -> str:
    """All trials in the order of the grid: parameters, then fractions and seconds of speech."""
    rows = [{**trial.values, **asdict(trial.score)} for trial in trials]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _render(trials: Sequence[Trial]) -> str:
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


def _plot(trials: Sequence[Trial], chosen: Trial, path: Path) -> None:
    """Write a PNG with a panel per parameter: DER over its values, every trial a dot."""
    names = list(trials[0].values)
    figure = new_figure(1 + 3.6 * len(names), 3.6)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        _panel(axes, name, trials, chosen)
    panels[0].set_ylabel("DER (%)")
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle("DER on the development set")
    save_plot(figure, path)


def _panel(axes: Axes, name: str, trials: Sequence[Trial], chosen: Trial) -> None:
    ders: dict[Any, list[float]] = {}
    for trial in trials:
        ders.setdefault(trial.values[name], []).append(100 * trial.score.der)
    star, least = chosen.values[name], 100 * chosen.score.der
    if all(type(value) in (int, float) for value in ders):
        ders = dict(sorted(ders.items()))
    else:  # goes evenly along the axis, by its name
        ders, star = {str(value): found for value, found in ders.items()}, str(star)
    axes.plot(
        list(ders), list(map(min, ders.values())),
        color=DENSE, marker="o", markersize=4, label="best at this value", zorder=2,
    )  # fmt: skip
    values = [value for value, found in ders.items() for _ in found]
    every = [der for found in ders.values() for der in found]
    axes.plot(values, every, ".", color=TARGET, alpha=0.35, label="every trial")
    axes.plot(star, least, "*", color=PRUNED, markersize=12, label="chosen", zorder=3)
    axes.set_xlabel(name)
    axes.margins(x=0.1)
    axes.grid(alpha=0.3)
    tidy(axes)


if __name__ == "__main__":
    main()
