"""Time encoders, dense and pruned, beside other implementations: table, plot and bench.json."""

from __future__ import annotations

import argparse
import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from espnet_prune.bench.comparison import compare
from espnet_prune.bench.implementations import PRECISIONS
from espnet_prune.bench.plot import plot
from espnet_prune.bench.results import Input, Row, this_setting, write_json
from espnet_prune.bench.table import render
from espnet_prune.bin.errors import explained
from espnet_prune.report.timing import benchmark_device
from espnet_prune.ssl import PRESETS
from espnet_prune.ssl.files import atomic_write

DENSE = [name for name in PRESETS if not name.endswith("_s80")]


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="MODEL",
        choices=DENSE,
        default=["wavlm_base_plus", "wavlm_large"],
        help=f"dense presets, each beside its pruned shape if there is one: {', '.join(DENSE)}",
    )
    parser.add_argument(
        "--inputs",
        nargs="+",
        metavar="BATCHxSECONDS",
        default=["1x8", "4x8", "1x30"],
        help="waveforms (default: 1x8 4x8 1x30)",
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        metavar="PRECISION",
        help="default: "
        + "; ".join(f"{' '.join(names)} on {device}" for device, names in PRECISIONS.items()),
    )
    parser.add_argument("--rounds", type=_positive, default=7, help="at most (default: 7)")
    parser.add_argument(
        "--limit",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="after which a slow one is left out of further rounds (default: 5)",
    )
    parser.add_argument("--threads", type=_positive, help="of the CPU (default: every core)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and waveforms")
    parser.add_argument("--output", type=Path, default=Path("exp"), help="folder (default: exp)")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above zero, found {text!r}")
    return int(text)


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    _silence_the_others()
    with explained("bench"):
        inputs = [Input.parse(text) for text in dict.fromkeys(args.inputs)]
        device = benchmark_device().type
        precisions = args.precisions or PRECISIONS[device]
        if unknown := sorted(set(precisions) - set(PRECISIONS[device])):
            raise ValueError(
                f"expected precisions that the {device} has ({', '.join(PRECISIONS[device])}), "
                f"found {', '.join(unknown)}"
            )
        if args.threads:
            torch.set_num_threads(args.threads)
        setting = this_setting(device, torch.get_num_threads(), args.seed)
        args.output.mkdir(parents=True, exist_ok=True)
        rows: list[Row] = []
        for model in dict.fromkeys(args.models):
            with tempfile.TemporaryDirectory(dir=args.output) as folder:
                for found in compare(
                    model, inputs, precisions, setting, args.rounds, args.limit, Path(folder)
                ):
                    rows += found
                    write(rows, args.output)
        print(render(rows))


def _silence_the_others() -> None:
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(message)s")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    logging.getLogger("espnet_prune.bench").setLevel(logging.INFO)
    warnings.simplefilter("ignore")  # of what they use and is deprecated


def write(rows: Sequence[Row], folder: Path) -> None:
    """Write ``bench.json``, ``bench.md`` and ``bench.png``, each atomically."""
    write_json(rows, folder / "bench.json")
    atomic_write(folder / "bench.md", render(rows))
    plot(rows, folder / "bench.png")


if __name__ == "__main__":
    main()
