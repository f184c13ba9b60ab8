"""List recipes, show one, or tell how a model came to be and which of its layers lost what."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_prune.bin.errors import explained
from espnet_prune.encoder.typed import ConfigError
from espnet_prune.report.figure import check_plot, save_plot
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.files import require_writable
from espnet_prune.storage.recipes import recipe_names, recipe_path, recipe_summary

if TYPE_CHECKING:
    from espnet_prune.encoder import SSLEncoder


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    help_ = "a recipe, or a model: its folder or whatever else convert reads (default: all recipes)"
    add("name", nargs="?", metavar="NAME", help=help_)
    help_ = "PNG, PDF, SVG or JPEG file to draw what pruning left of each layer of a model to"
    add("--output", type=Path, metavar="FILE", help=help_)
    return parser


@explained("explain")
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    is_recipe = args.name is None or args.name in recipe_names()
    if args.output:
        check_plot(args.output)
        if is_recipe:
            raise ConfigError(f"expected a model to draw, found {args.name or 'none'}; name one")
        require_writable(args.output)
    if not is_recipe:
        _explain_model(args.name, args.output)
    elif args.name:
        print(recipe_path(args.name).read_text(encoding="utf-8"), end="")
    else:
        for name in recipe_names():
            print(f"{name:20} {recipe_summary(name)}")


def _explain_model(name: str, output: Path | None) -> None:
    # These bring torch, and matplotlib: --help and recipes do without.
    from espnet_prune.pruning import count_params
    from espnet_prune.report.lineage import kept_tables, rank_tables, sizes_around, told

    encoder = _encoder(name)
    config, (before, after) = encoder.config, sizes_around(encoder)
    size = count_params(config).total / 1e6
    print(f"{name}: {config.family}, {len(config.layers)} layers, {size:.2f} M parameters")
    print("\n".join(told(encoder.history)) or "no history: nothing wrote one when it was made")
    if before is None:
        print("no cut in the history: of the dense model, only the number of heads is known")
        before = {**after, "head": (config.num_heads,) * len(config.layers)}
    for table in (*kept_tables(before, after), *rank_tables(config)):
        print(f"\n{table.text()}")
    if output:
        from espnet_prune.report.plots import draw_units

        save_plot(draw_units(before, after), output)


def _encoder(name: str) -> SSLEncoder:
    from espnet_prune.formats.sources import encoder_of

    try:
        return encoder_of(name)
    except CheckpointError as error:
        if Path(name).exists():
            raise
        known = ", ".join(recipe_names())
        raise CheckpointError(f"{error}; or name a recipe: {known}") from error


if __name__ == "__main__":
    main()
