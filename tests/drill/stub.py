"""The diarization recipe with commands that take no time: staging alone, in milliseconds."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.drill.recipe import RECIPE, Run

# A verb writes its words, and those of the stages before, to what it is to make. One named in
# `slow` waits until that file is gone; one named in `large` writes a megabyte.
_PYTHON = r"""#!/bin/bash
[ "$1" = -m ] || exec @PYTHON@ "$@"
case $2 in
    espnet2.bin.launch) while [ "$1" != -- ]; do shift; done; shift; exec "$@" ;;
    espnet_prune.bin.* | egs2.*) verb=${2##*.} ;;
    *) exec @PYTHON@ "$@" ;;
esac
shift 2
words="$*" output=
while [ $# -gt 0 ]; do
    case $1 in --output | --output_dir) output=$2 ;; esac
    last=$1
    shift
done
[ "$verb" != convert ] || output=$last
echo "$verb" >> calls
if [ -n "$output" ]; then
    case ${output##*/} in
        *.*) mkdir -p "$(dirname "$output")" ;;
        *) mkdir -p "$output"; output+=/model ;;
    esac
    echo "$words" > "$output" || exit 1
fi
echo "{}"
while [ -f slow ] && [ "$(cat slow 2> /dev/null)" = "$verb" ]; do sleep 0.02; done
if [ -f large ] && [ "$(cat large)" = "$verb" ]; then head -c 1000000 /dev/zero >> "$output"; fi
"""


def make(folder: Path) -> Path:
    """A recipe folder, its corpus made."""
    folder.mkdir(parents=True)
    for link in ("diar.sh", "path.sh", "cmd.sh", "utils", "conf"):
        (folder / link).symlink_to((RECIPE / link).resolve())
    (folder / "local").mkdir()
    (folder / "local/data.sh").write_text("#!/bin/sh\nmkdir -p data; echo data > data/made\n")
    (folder / "local/data.sh").chmod(0o755)
    (folder / "python").write_text(_PYTHON.replace("@PYTHON@", f"'{sys.executable}'"))
    (folder / "python").chmod(0o755)
    for name in ("train", "dev", "test"):
        (folder / "dump/raw" / name).mkdir(parents=True)
    return folder


def begin(folder: Path, first: int, last: int, *options: str) -> Run:
    """Begin stages."""
    words = ["--stage", str(first), "--stop_stage", str(last), "--ssl_model", "conf"]
    return Run(folder, ["./diar.sh", *words, "--python", f"{folder}/python", *options])


def calls(folder: Path) -> list[str]:
    """The verbs that have been called."""
    path = folder / "calls"
    return path.read_text().split() if path.exists() else []
