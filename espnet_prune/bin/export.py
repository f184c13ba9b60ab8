"""Export an encoder or a diarization model for deployment, as a file or for another package."""

from __future__ import annotations

import logging
from argparse import ArgumentParser, BooleanOptionalAction, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_prune.bin.errors import explained
from espnet_prune.encoder import SSLEncoder
from espnet_prune.export import OUTPUTS, TARGETS, ExportError, largest_difference
from espnet_prune.export.files import PRECISIONS
from espnet_prune.export.program import require
from espnet_prune.export.targets import find_target
from espnet_prune.formats import SOURCES, diarizen
from espnet_prune.formats.sources import find_source
from espnet_prune.storage.checkpoint import CONFIG, read_config
from espnet_prune.storage.files import new_folder, replacing, require_writable

if TYPE_CHECKING:
    from espnet_prune.diarization.model import DiarizationModel

# Of the largest value; 8 and 16 bits are inexact, but not another function.
TOLERANCES = {None: 1e-4, "int8": 0.3, "float16": 0.1}

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
    add(
        "destination",
        metavar="DST",
        type=Path,
        help="file, *.onnx or *.pt2 (torch.export), or what the target writes",
    )
    add(
        "--target",
        choices=TARGETS,
        help="what to write, by name (default: what the name of DST ends in)",
    )
    add(
        "--output",
        choices=OUTPUTS,
        help="what the file gives beside the number of frames (default: log_probs of a "
        "diarization model, else hidden_states); of a diarization model, hidden_states and "
        "last_hidden_state are its encoder's",
    )
    add(
        "--quantize",
        choices=PRECISIONS,
        help="of ONNX: 8-bit linear maps, smaller, faster and inexact; or half the bits of all",
    )
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
    target = find_target(args.destination, args.target)
    place = args.destination
    with new_folder(place, target.last) if target.last else replacing(place) as path:
        target.write(model, path, args.output, args.quantize)
        found = _check(path, model, args) if args.check else ""
        size = sum(each.stat().st_size for each in path.parent.rglob("*") if each.is_file())
    print(f"{args.destination}: {size / 1e6:.1f} MB{found}")


def _check_arguments(args: Namespace) -> None:
    target = find_target(args.destination, args.target)
    if args.quantize and args.quantize not in target.precisions:
        able = [name for name, each in TARGETS.items() if args.quantize in each.precisions]
        raise ExportError(
            f"--quantize {args.quantize} needs a --target of {' or '.join(able)}, found "
            f"{args.target or args.destination}"
        )
    if args.check:
        require(*target.needs)
    if target.last is None:
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
    from espnet_prune.diarization.pipeline import find_pipeline

    return DiarizationModel.from_pretrained(find_pipeline(source))


def _check(path: Path, model: SSLEncoder | DiarizationModel, args: Namespace) -> str:
    logger.info("comparing it with PyTorch")
    difference = largest_difference(path, model, args.output, args.target)
    limit = TOLERANCES[args.quantize]
    if not difference <= limit:  # NaN included
        raise ExportError(
            f"expected what differs from PyTorch by at most {limit:g} of the largest value, found "
            f"{difference:g}; nothing was written. Please report this with the versions of torch, "
            "onnx, onnxscript and onnxruntime"
        )
    return f", differs from PyTorch by {difference:.1e} of the largest value"


if __name__ == "__main__":
    main()
