"""Cut a trained, gated encoder to its final shape, exactly on budget; or export a distilled one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import positive
from espnet_prune.encoder import SSLEncoder
from espnet_prune.espnet.distillation_task import DistillationTask
from espnet_prune.formats.espnet import load_trained
from espnet_prune.pruning import Pruner, count_macs, thresholds


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model_file", type=Path, help="weights from distill_train, config.yaml beside them"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the encoder")
    parser.add_argument(
        "--round_to",
        type=positive,
        default=1,
        metavar="N",
        help="make the width of every convolution and FFN a multiple of N, which hardware likes; "
        "what that costs in parameters is printed (default: 1, exactly on budget)",
    )
    return parser


def cut(pruner: Pruner, encoder: SSLEncoder, round_to: int = 1) -> SSLEncoder:
    """``encoder`` cut by its trained gates; says how small it becomes, by which thresholds,
    and what rounding costs.

    Raises:
        BudgetMissed: training ended away from a target.
        ValueError: a multiple for gates that leave widths alone.
    """
    sparse = is_sparse(pruner)
    exact = pruner.apply_to(encoder)
    dense, kept = _size(encoder), _size(exact, sparse)
    macs = [count_macs(e.config, pruner.config.reference_seconds).total for e in (encoder, exact)]
    print(f"{dense} -> {kept} parameters, sparsity {1 - kept / dense:.4f}")
    print(f"{macs[0]} -> {macs[1]} MACs of {pruner.config.reference_seconds:g} s of audio")
    for layer, threshold in thresholds(pruner).items():
        print(f"  threshold {threshold:.3e} of {layer}")
    if round_to == 1:
        return exact
    rounded = pruner.apply_to(encoder, round_to)
    size = _size(rounded)
    print(
        f"widths rounded to multiples of {round_to}: {size - kept:+d} parameters "
        f"({size / kept - 1:+.2%}), sparsity {1 - size / dense:.4f}"
    )
    return rounded


def is_sparse(pruner: Pruner) -> bool:
    """Whether single weights are closed, by zeros, instead of units cut away."""
    return "weight" in pruner.config.units


def _size(encoder: SSLEncoder, sparse: bool = False) -> int:
    """Number of parameters; with ``sparse``, of those that are not zero."""
    parameters = encoder.parameters()
    return sum(int(p.count_nonzero()) if sparse else p.numel() for p in parameters)


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("apply_pruning"):
        trained = load_trained(DistillationTask, args.model_file)
        encoder, sparse = trained.student, False
        if trained.pruner:
            encoder = cut(trained.pruner, encoder, args.round_to)
            sparse = is_sparse(trained.pruner)
        encoder.save_pretrained(args.output, sparse=sparse)


if __name__ == "__main__":
    main()
