"""Cut an encoder to a budget at once, without training.

Example: espnet-prune compress exp/dense/encoder --pruning_conf target=0.8 --output exp/small
"""

from argparse import ArgumentParser
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import key_value
from espnet_prune.encoder.typed import read_typed
from espnet_prune.formats import import_encoder
from espnet_prune.inference.latency import require_on_time
from espnet_prune.pruning import Pruner, PruningConfig, count_macs, count_params
from espnet_prune.storage.checkpoint import CONFIG
from espnet_prune.storage.files import new_folder

ONE_SHOT = {"gate": "magnitude", "warmup_steps": 0}


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("source", metavar="SRC", help="the encoder: what convert reads")
    add("--output", type=Path, required=True, help="folder to write, new or empty")
    help_ = f"of PruningConfig, such as target=0.8 budget=macs, over {ONE_SHOT}"
    add("--pruning_conf", nargs="+", type=key_value, default=[], metavar="KEY=VALUE", help=help_)
    return parser


@explained("compress", logs=True)
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    config = read_typed(PruningConfig, ONE_SHOT | dict(args.pruning_conf), "pruning_conf")
    with new_folder(args.output, last=CONFIG) as folder:
        encoder = import_encoder(args.source)
        pruner = Pruner(encoder, config)
        smaller = pruner.apply_to(encoder)
        told = require_on_time(pruner.limits, smaller)
        smaller.save_pretrained(folder)
    for name, count in (("parameters", count_params), ("MACs of 1 s", count_macs)):
        dense, kept = (int(count(each.config).total) for each in (encoder, smaller))
        print(f"{dense} -> {kept} {name}, sparsity {1 - kept / dense:.4f}")
    for line in told:
        print(line)


if __name__ == "__main__":
    main()
