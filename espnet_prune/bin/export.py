"""Export an encoder or a diarization model for deployment, as an ONNX or torch.export file."""

from __future__ import annotations

import logging
from argparse import ArgumentParser, BooleanOptionalAction, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_prune.bin.errors import explained
from espnet_prune.encoder import SSLEncoder
from espnet_prune.export import OUTPUTS, TARGETS, ExportError, largest_difference
from espnet_prune.export.targets import require
from espnet_prune.formats import SOURCES, diarizen
from espnet_prune.formats.sources import find_source
from espnet_prune.storage.checkpoint import CONFIG, read_config
from espnet_prune.storage.files import replacing, require_writable

if TYPE_CHECKING:
    from espnet_prune.diarization.model import DiarizationModel

# Of the largest value; 8 bits are inexact, but not another function.
TOLERANCES = {None: 1e-4, "int8": 1.0}

logger = logging.getLogger(__name__)


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description=__doc__,
        epilog="MODEL is a diarization model's folder, ours or DiariZen's (exported whole),\n"
        f"or one of\n{SOURCES}",
        formatter_class=RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="what to export, see below")
    add("destination", metavar="DST", type=Path, help="file, *.onnx or *.pt2 (torch.export)")
    add(
        "--output",
        choices=OUTPUTS,
        help="what the file gives beside the number of frames (default: log_probs of a "
        "diarization model, else hidden_states); of a diarization model, hidden_states and "
        "last_hidden_state are its encoder's",
    )
    add("--quantize", choices=("int8",), help="8-bit linear maps of ONNX: smaller, faster, inexact")
    add(
        "--check",
        action=BooleanOptionalAction,
        default=True,
        help="run the file on padded batches and print by how much it differs from PyTorch; by "
        f"more than {TOLERANCES[None]:g} of the largest value, unless quantized, it is not written "
        "(default: --check)",
    )
    return parser


@explained("export")
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s: %(message)s")
    logging.getLogger("espnet_prune").setLevel(logging.INFO)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # names what it can do without
    _check_arguments(args)
    model = _load(args.model)
    with replacing(args.destination) as file:
        TARGETS[file.suffix].write(model, file, args.output, args.quantize)
        found = _check(file, model, args) if args.check else ""
        size = sum(each.stat().st_size for each in file.parent.iterdir())
    print(f"{args.destination}: {size / 1e6:.1f} MB{found}")


def _check_arguments(args: Namespace) -> None:
    target = TARGETS.get(args.destination.suffix)
    if target is None:
        raise ExportError(
            f"expected a DST that ends in {' or '.join(TARGETS)}, found {args.destination}"
        )
    if args.quantize and args.quantize not in target.precisions:
        able = [suffix for suffix, each in TARGETS.items() if args.quantize in each.precisions]
        raise ExportError(
            f"--quantize needs a DST that ends in {' or '.join(able)}, found {args.destination}"
        )
    if args.check:
        require(*target.needs)
    require_writable(args.destination)


def _load(source: str) -> SSLEncoder | DiarizationModel:
    if source.startswith("torchaudio:"):
        return SSLEncoder.from_pretrained(source)
    path = find_source(source)
    diarizes = (path / diarizen.CONFIG).is_file()
    if (path / CONFIG).is_file():
        diarizes = read_config(path / CONFIG).get("kind") == "diarization_model"
    if not diarizes:
        return SSLEncoder.from_pretrained(path)
    from espnet_prune.diarization.model import DiarizationModel

    return DiarizationModel.from_pretrained(path)


def _check(file: Path, model: SSLEncoder | DiarizationModel, args: Namespace) -> str:
    logger.info("comparing it with PyTorch")
    difference, limit = largest_difference(file, model, args.output), TOLERANCES[args.quantize]
    if not difference <= limit:  # NaN included
        raise ExportError(
            f"expected a file that differs from PyTorch by at most {limit:g} of the largest value, "
            f"found {difference:g}; nothing was written. Please report this with the versions of "
            "torch, onnx, onnxscript and onnxruntime"
        )
    return f", differs from PyTorch by {difference:.1e} of the largest value"


if __name__ == "__main__":
    main()
