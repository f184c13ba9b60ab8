"""Cut an encoder to a budget at once, without training.

Example: espnet-prune compress exp/dense/encoder --pruning_conf target=0.8 --output exp/small
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import key_value
from espnet_prune.encoder.typed import ConfigError, read_typed
from espnet_prune.storage.config_files import merged, read_yaml
from espnet_prune.storage.files import new_folder
from espnet_prune.storage.recipes import recipe_path


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("source", metavar="SRC", help="the encoder: what convert reads")
    add("--output", type=Path, required=True, help="folder to write, new or empty")
    help_ = (
        "published method that needs no training, see espnet-prune explain (default: %(default)s)"
    )
    add("--recipe", default="magnitude", metavar="NAME", help=help_)
    help_ = "of PruningConfig, such as target=0.8 budget=macs, over those of the recipe"
    add("--pruning_conf", nargs="+", type=key_value, default=[], metavar="KEY=VALUE", help=help_)
    return parser


@explained("compress", logs=True)
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    # These bring torch: --help does without.
    from espnet_prune.formats import import_encoder
    from espnet_prune.history import new_step, public_name
    from espnet_prune.inference.latency import require_on_time
    from espnet_prune.pruning import Pruner, PruningConfig, count_macs, count_params, prepared
    from espnet_prune.storage.checkpoint import CONFIG

    values = merged(_pruning_conf(args.recipe), dict(args.pruning_conf))
    config = read_typed(PruningConfig, values, "pruning_conf")
    with new_folder(args.output, last=CONFIG) as folder:
        encoder = import_encoder(args.source)
        step = new_step("compressed", source=public_name(args.source), recipe=args.recipe)
        encoder.history = (*encoder.history, step)
        start = prepared(encoder, config)
        pruner = Pruner(start, config)
        smaller = pruner.apply_to(start)
        told = require_on_time(pruner.limits, smaller)
        smaller.save_pretrained(folder)
    for name, count in (("parameters", count_params), ("MACs of 1 s", count_macs)):
        dense, kept = (int(count(each.config).total) for each in (encoder, smaller))
        print(f"{dense} -> {kept} {name}, sparsity {1 - kept / dense:.4f}")
    for line in told:
        print(line)


def _pruning_conf(recipe: str) -> dict[str, Any]:
    """That of a recipe, which has nothing else but its name, or ConfigError."""
    values = read_yaml(recipe_path(recipe))
    if others := values.keys() - {"recipe", "pruning_conf"}:
        raise ConfigError(
            f"expected a recipe of pruning_conf alone, found {recipe}, which trains (it has "
            f"{', '.join(sorted(others))}); give it to distill_train, asr_train or another training"
        )
    return values["pruning_conf"]


if __name__ == "__main__":
    main()
