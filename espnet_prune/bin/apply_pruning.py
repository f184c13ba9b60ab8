"""Cut a trained, gated encoder to its final shape, exactly on budget; or export a distilled one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.espnet.distillation_task import DistillationTask
from espnet_prune.espnet.trained import load_trained
from espnet_prune.pruning import apply, count_params
from espnet_prune.ssl import SSLEncoder


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model_file", type=Path, help="weights from distill_train, config.yaml beside them"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the encoder")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("apply_pruning"):
        trained = load_trained(DistillationTask, args.model_file)
        encoder = trained.student
        if trained.pruner:
            dense = encoder.config
            config, state = apply(dense, encoder.state_dict(), trained.pruner.final_masks())
            encoder = SSLEncoder(config)
            encoder.load_state_dict(state, strict=True)
            before, after = count_params(dense).total, count_params(config).total
            print(f"{before} -> {after} parameters, sparsity {1 - after / before:.4f}")
        encoder.save_pretrained(args.output)


if __name__ == "__main__":
    main()
