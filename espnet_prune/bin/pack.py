"""Pack a model folder and the results that describe it into one zip file."""

import zipfile
from argparse import ArgumentParser
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


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("model", type=Path, help="folder of a model")
    add("files", type=Path, nargs="*", help="files to put beside the folder")
    add("--output", type=Path, required=True, help="zip file to write")
    return parser


@explained("pack")
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    if not any((args.model / name).is_file() for name in _CONFIGS):
        raise CheckpointError(
            f"{args.model}: expected a model folder, found no {' or '.join(_CONFIGS)} in it"
        )
    with atomic_file(args.output) as raw, zipfile.ZipFile(raw, "w") as archive:
        for name in _FILES:
            if (args.model / name).is_file():
                archive.write(args.model / name, Path(args.model.name, name))
        for path in args.files:
            archive.write(path, path.name)
    print(args.output)


if __name__ == "__main__":
    main()
