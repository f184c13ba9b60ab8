"""Stands for Kaldi's ``slurm.pl`` and for SLURM: runs at once what it is given, keeps the words."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.egs2.espnet_checkout import write_program

# Reads its configuration, writes the job's script and calls sbatch as Kaldi's does.
_SUBMIT = r"""#!@PYTHON@
import pathlib, re, subprocess, sys

words, options = sys.argv[1:], {}
while words[0].startswith("--"):
    name = words.pop(0)[2:].replace("-", "_")
    options[name] = words.pop(0)
if jobs := re.fullmatch(r"(\w+)=1:(\d+)", words[0]):  # one after the other, a call of each
    own, name = sys.argv[1 : -len(words)], jobs[1]
    each = ([word.replace(name, str(n + 1)) for word in words[1:]] for n in range(int(jobs[2])))
    sys.exit(max(subprocess.call([sys.argv[0], *own, *one]) for one in each))
log, asked = pathlib.Path(words.pop(0)), {}
for line in pathlib.Path(options.pop("config", "conf/slurm.conf")).read_text().splitlines():
    kind, _, rest = re.sub(r"\s*#.*", "", line).partition(" ")
    name, _, value = rest.partition("=")
    value, _, words_of_it = value.partition(" ")
    if kind == "command":
        command = rest
    elif kind == "default":
        options.setdefault(name, value)
    elif kind == "option" and options.get(name) == value:
        asked[name] = words_of_it
    elif kind == "option" and name in options and value == "*":
        asked.setdefault(name, words_of_it.replace("$0", options[name]))
if unknown := options.keys() - asked.keys():
    sys.exit(f"slurm.pl: Command line option {unknown} not described in conf/slurm.conf")
quoted = " ".join(word if re.match(r"^\S+$", word) else f'"{word}"' for word in words)
(log.parent / "q").mkdir(parents=True, exist_ok=True)
script = log.parent / "q" / f"{log.stem}.sh"
script.write_text(
    f"#!/bin/bash\ncd {pathlib.Path.cwd()}\n. ./path.sh\n( {quoted} ) >> {log} 2>&1\n"
)
sys.exit(subprocess.call(f"{command} {' '.join(asked.values())} {script}", shell=True))
"""

# A job knows of its submitter's environment the PATH alone.
_SBATCH = r"""#!@PYTHON@
import json, os, subprocess, sys

assert "--export=PATH" in sys.argv, sys.argv
with open("@LOG@", "a") as file:
    file.write(json.dumps(["sbatch", *sys.argv[1:]]) + "\n")
cpus = sys.argv[sys.argv.index("--cpus-per-task") + 1]
job = ["bash", sys.argv[-1]]
known = {"PATH": os.environ["PATH"], "SLURM_CPUS_PER_TASK": cpus}
sys.exit(subprocess.call(job, env=known))
"""

_SRUN = r"""#!@PYTHON@
import json, os, subprocess, sys

cpus = os.environ["SRUN_CPUS_PER_TASK"]
with open("@LOG@", "a") as file:
    file.write(json.dumps(["srun", cpus, *sys.argv[1:]]) + "\n")
sys.exit(subprocess.call(sys.argv[2:]))
"""

# Stands for Python: what trains or applies is written down, and makes the folder that it is to.
_PYTHON = r"""#!@PYTHON@
import json, os, sys
from pathlib import Path

words = sys.argv[1:]
if words[:1] != ["-m"] or not words[1].startswith("espnet_prune.bin."):
    os.execv("@PYTHON@", ["@PYTHON@", *words])
with open("@LOG@", "a") as file:
    file.write(json.dumps([os.environ.get("EXTRA_PATH", ""), *words]) + "\n")
for option in ("--output", "--output_dir"):
    if option in words:
        Path(words[words.index(option) + 1]).mkdir(parents=True, exist_ok=True)
"""


class Cluster:
    """A cluster's programs in ``folder``, ``slurm.pl`` in ``utils``, and what they were told."""

    def __init__(self, folder: Path, utils: Path):
        self.folder, self.log = folder, folder / "log"
        texts = {folder / "sbatch": _SBATCH, folder / "srun": _SRUN, folder / "python": _PYTHON}
        for path, text in {**texts, utils / "slurm.pl": _SUBMIT}.items():
            filled = text.replace("@PYTHON@", sys.executable).replace("@LOG@", str(self.log))
            write_program(path, filled)

    def words(self) -> list[list[str]]:
        """The words of every program that was called, in that order."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]
