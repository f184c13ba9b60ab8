"""Options that the commands of the comparison share."""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.results import Setting, this_setting
from espnet_prune.encoder import PRESETS
from espnet_prune.report.environment import benchmark_device
from espnet_prune.storage.files import require_writable

DENSE = [name for name in PRESETS if not name.endswith("_s80")]


def add_options(
    parser: argparse.ArgumentParser, inputs: Sequence[str], models: str, limit: float
) -> None:
    """Add what to compare, how long, and where to write.

    Args:
        parser: gets them.
        inputs: the default ones.
        models: what to say of the models.
        limit: the default one, in seconds.
    """
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="MODEL",
        choices=DENSE,
        default=["wavlm_base_plus", "wavlm_large"],
        help=f"{models}: {', '.join(DENSE)} (default: wavlm_base_plus wavlm_large)",
    )
    parser.add_argument(
        "--inputs",
        nargs="+",
        metavar="BATCHxSECONDS",
        default=inputs,
        help=f"waveforms (default: {' '.join(inputs)})",
    )
    parser.add_argument("--rounds", type=_positive, default=7, help="at most (default: 7)")
    parser.add_argument(
        "--limit",
        type=float,
        default=limit,
        metavar="SECONDS",
        help=f"after which a slow one is left out of further rounds (default: {limit:g})",
    )
    parser.add_argument("--threads", type=_positive, help="of the CPU (default: every core)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and waveforms")
    parser.add_argument("--output", type=Path, default=Path("exp"), help="folder (default: exp)")


def prepare(args: argparse.Namespace, device: str | None = None) -> Setting:
    """Set threads and logging, and make the output folder.

    Args:
        args: of the command line.
        device: what is used; unless given, that of benchmarks.

    Raises:
        OSError: the folder cannot be written to.
    """
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(message)s")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    logging.getLogger("benchmarks").setLevel(logging.INFO)
    warnings.simplefilter("ignore")  # of what the compared use and is deprecated
    if args.threads:
        torch.set_num_threads(args.threads)
    require_writable(args.output / "any")
    return this_setting(device or benchmark_device().type, torch.get_num_threads(), args.seed)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above zero, found {text!r}")
    return int(text)
