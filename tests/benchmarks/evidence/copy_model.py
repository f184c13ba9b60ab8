"""Copy a model's folder, and leave a note in it: a command of studies that takes no time."""

import argparse
import shutil
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("source", type=Path)
parser.add_argument("--note")
parser.add_argument("--output", type=Path)
args = parser.parse_args()
shutil.copytree(args.source, args.output, dirs_exist_ok=True)
if args.note:
    (args.output / "note").write_text(args.note)
