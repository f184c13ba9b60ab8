"""Write what a training made, cut to its final shape, exactly on budget: a folder of its own.

distill_train gives an encoder, powerset_train a diarization model and its encoder, asr_train,
slu_train and diar_train an ESPnet model that ESPnet's own commands load, embedding_train a head,
which goes into the folder of its diarization model. A training without gates is only exported.
"""

from argparse import ArgumentParser
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import key_value, positive
from espnet_prune.espnet.apply_trained import Cut, apply_trained


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("model_file", type=Path, help="weights that a training wrote, config.yaml beside them")
    add("--output", type=Path, required=True, help="folder for the result")
    add(
        "--round_to",
        type=positive,
        default=1,
        metavar="N",
        help="make the width of every convolution and FFN a multiple of N, which hardware likes; "
        "what that costs in parameters is printed (default: 1, exactly on budget)",
    )
    help_ = (
        "another budget than the training's, such as target=0.6 or budget=macs: units close in the "
        "order of their gates, so that one training gives a family of models"
    )
    add("--pruning_conf", nargs="+", type=key_value, default=[], metavar="KEY=VALUE", help=help_)
    return parser


@explained("apply_pruning")
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    apply_trained(args.model_file, args.output, Cut(args.round_to, dict(args.pruning_conf)))


if __name__ == "__main__":
    main()
