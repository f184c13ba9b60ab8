"""Pack a model folder and the results that describe it into one zip file."""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.files import atomic_file

# All that belongs to a model; whatever else lies in its folder stays out.
_FILES = (
    *("config.json", "model.safetensors", "README.md"),
    *("encoder/config.json", "encoder/model.safetensors", "encoder/README.md"),
    *("embedding/config.json", "embedding/model.safetensors"),
    *("config.yaml", "model.pth", "results.json"),
)
_CONFIGS = ("config.json", "config.yaml")


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="folder of a model")
    parser.add_argument("files", type=Path, nargs="*", help="files to put beside the folder")
    parser.add_argument("--output", type=Path, required=True, help="zip file to write")
    return parser


def pack(model: Path, files: Sequence[Path], output: Path) -> None:
    """Write the files of a model, and ``files`` beside its folder, to ``output`` atomically.

    Raises:
        CheckpointError: ``model`` is no model folder.
        OSError: a file is missing, or the disk is full.
    """
    if not any((model / name).is_file() for name in _CONFIGS):
        raise CheckpointError(
            f"{model}: expected a model folder, found no {' or '.join(_CONFIGS)} in it"
        )
    with atomic_file(output) as raw, zipfile.ZipFile(raw, "w") as archive:
        for name in _FILES:
            if (model / name).is_file():
                archive.write(model / name, Path(model.name) / name)
        for path in files:
            archive.write(path, path.name)


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("pack"):
        pack(args.model, args.files, args.output)
        print(args.output)


if __name__ == "__main__":
    main()
