"""Cut the encoder of a trained ESPnet model to its final shape: a folder that ESPnet itself loads.

The folder has encoder/, config.yaml without options of ours, and model.pth with ESPnet's names. A
training without gates is only exported to that form.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.apply_pruning import cut, is_sparse
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import positive
from espnet_prune.encoder import ConfigError
from espnet_prune.espnet.frontend import PrunedSSLFrontend
from espnet_prune.espnet.task_apply import task_of, write_applied
from espnet_prune.formats.espnet import CONFIG, load_trained
from espnet_prune.storage.files import require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model_file",
        type=Path,
        help="weights from asr_train, slu_train or diar_train, config.yaml beside them",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the model")
    parser.add_argument(
        "--round_to",
        type=positive,
        default=1,
        metavar="N",
        help="make the width of every convolution and FFN a multiple of N, which hardware likes; "
        "what that costs in parameters is printed (default: 1, exactly on budget)",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("apply_task"):
        task, _ = task_of(args.model_file)
        require_writable(args.output / CONFIG)
        model = load_trained(task, args.model_file)
        if not isinstance(getattr(model, "frontend", None), PrunedSSLFrontend):
            raise ConfigError(
                f"{args.model_file.with_name(CONFIG)}: expected frontend: pruned_ssl, found "
                "another; there is no encoder to cut"
            )
        encoder, objective = model.frontend.ssl_encoder, model.frontend.objective
        pruner = objective.pruner if objective else None
        if pruner:
            encoder = cut(pruner, encoder, args.round_to)
        sparse = bool(pruner) and is_sparse(pruner)
        plain = write_applied(args.output, model, encoder, args.model_file, sparse)
        total = sum(parameter.numel() for parameter in plain.parameters())
        print(f"{args.output}: {total} parameters with the task's own layers")


if __name__ == "__main__":
    main()
