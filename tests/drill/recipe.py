"""The miniature diarization recipe of thirteen stages: run, copied, compared."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tests.encoders import mini_encoder

EGS2 = Path(__file__).parents[2] / "egs2"
RECIPE, STAGES, TRAININGS = EGS2 / "mini_meeting/diar_prune1", range(1, 14), (5, 6, 8, 9)
FOLDER = {5: "dense_train", 6: "prune_train", 8: "distill_train", 9: "pruned_train"}
_STEPS = "--max_epoch 3 --num_iters_per_epoch 5 --batch_size 2 --num_workers 0"
OPTIONS = {
    "ssl_model": "mini",
    "pruned_config": "conf/train.yaml",
    "nj": "1",
    "local_data_opts": "--num_train 4 --num_dev 1 --num_test 2 --duration 14 --num_speakers 2",
    "window_size": "2",
    "window_shift": "2",
    "max_speakers": "2",
    "train_args": _STEPS,
    "pruning_args": _STEPS.replace("epoch 5", "epoch 14")
    + " --pruning_conf warmup_steps=25 --pruning_conf gate_lr=0.6 --pruning_conf target=0.5",
    "distill_args": _STEPS,
    "python": sys.executable,
}
_VOLATILE = re.compile("time|seconds|date|speed|_s$|rtf|host")
_UNCOMPARED = (".log", ".html", ".png", ".md", ".yaml")  # they tell times and hosts


class Run:
    """One call of a recipe, in a session of its own, at most ``limit`` seconds long."""

    def __init__(self, folder: Path, command: list[str]):
        self.log = folder / "drill.log"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        environment["PYTHONPATH"] = str(EGS2.parent)
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                ["nice", *command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # A job of a script in the background ignores Ctrl-C, and its children do.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def wait(self, limit: float = 400) -> int:
        """The exit status; that of a run which takes longer is -1."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(limit)
        return -1

    def running(self) -> list[int]:
        """The processes of its session that live."""
        return [pid for pid, fields in processes() if int(fields[3]) == self.process.pid]

    def kill(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to every process of its group, if there is one left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, sig)

    def end(self) -> None:
        """Leave nothing that runs."""
        for pid in self.running():
            with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")


def processes() -> Iterator[tuple[int, list[str]]]:
    """Every living process, and the fields of its ``stat`` from the state on."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            yield int(entry.parent.name), fields


def begin(folder: Path, *stages: int, **changes: str) -> Run:
    """Begin the stages from the first to the last of ``stages`` with changed options."""
    options = {"stage": str(stages[0]), "stop_stage": str(stages[-1])} if stages else {}
    pairs = {**OPTIONS, **options, **changes}.items()
    return Run(
        folder, ["./diar.sh", *(word for key, value in pairs for word in (f"--{key}", value))]
    )


@contextmanager
def running(folder: Path, *stages: int, **changes: str) -> Iterator[Run]:
    """The same, ended with the block."""
    run = begin(folder, *stages, **changes)
    try:
        yield run
    finally:
        run.end()


def call(folder: Path, *stages: int, **changes: str) -> tuple[int, str]:
    """Exit status and output of the stages."""
    with running(folder, *stages, **changes) as run:
        return run.wait(), run.said


def until(condition: Callable[[], Any], run: Run, limit: float = 120) -> bool:
    """Wait for a condition while ``run`` runs; whether it came."""
    end = time.monotonic() + limit
    while run.process.poll() is None and time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.002)
    return False


class Reference:
    """The recipe undisturbed: a copy of its folder and the seconds of every stage."""

    def __init__(self, work: Path):
        self.work, self.folder = work, work / "reference"
        self.times = self.folder / "seconds.json"

    def make(self) -> None:
        """Run it, unless that was done."""
        if self.times.exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        current = self.folder / "current"
        current.mkdir(parents=True)
        for link in ("diar.sh", "path.sh", "cmd.sh", "utils", "local"):
            (current / link).symlink_to((RECIPE / link).resolve())
        shutil.copytree(RECIPE / "conf", current / "conf")
        mini_encoder().save_pretrained(current / OPTIONS["ssl_model"])
        seconds = {}
        for stage in STAGES:
            start = time.monotonic()
            status, said = call(current, stage)
            if status:
                raise RuntimeError(f"stage {stage} of the reference failed: {said[-2000:]}")
            seconds[stage] = time.monotonic() - start
            copy(current, self.folder / str(stage))
        self.times.write_text(json.dumps(seconds))

    def seconds(self, stage: int) -> float:
        return json.loads(self.times.read_text())[str(stage)]

    def fresh(self, name: str, after: int) -> Path:
        """A copy of the folder as it was after a stage."""
        return copy(self.folder / str(after), self.work / name)

    def changes(self, folder: Path, after: int, **options: str) -> str:
        """What differs in ``folder`` from the reference after a stage, in words; "" for nothing."""
        expected, found = artefacts(self.folder / str(after)), artefacts(folder)
        names = sorted(expected.keys() | found.keys())
        return ", ".join(name for name in names if expected.get(name) != found.get(name))


def copy(source: Path, target: Path) -> Path:
    """Replace ``target`` by a copy that keeps times and links."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", source, target], check=True)
    return target


def artefacts(folder: Path) -> dict[str, str]:
    """The checksum of everything lasting below ``data``, ``dump`` and ``exp``; names of the rest.

    Hidden folders are the staging's own business; a hidden file is a name without its random tail.
    """
    found = {}
    for path in (p for top in ("data", "dump", "exp") for p in (folder / top).rglob("*")):
        name = path.relative_to(folder)
        hidden = [part for part in name.parts if part.startswith(".")]
        if not path.is_file() or (hidden and hidden[0] != path.name) or "cache" in name.parts:
            continue
        if hidden:
            found[re.sub(r"[._-][a-z0-9_]{8}(\.tmp)?$", "", str(name))] = "hidden"
        elif path.suffix not in _UNCOMPARED and path.name != "checkpoint.pth":
            found[str(name)] = _checksum(path)
    return found


def _checksum(path: Path) -> str:
    digest = hashlib.sha1()
    if path.suffix == ".pth":
        for key, value in sorted(torch.load(path, weights_only=True).items()):
            digest.update(key.encode() + value.contiguous().numpy().tobytes())
    elif path.suffix == ".json":
        digest.update(json.dumps(_lasting(json.loads(path.read_text())), sort_keys=True).encode())
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                crc = 0 if member.filename.endswith("results.json") else member.CRC
                digest.update(f"{member.filename} {crc}".encode())
    else:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _lasting(v) for k, v in value.items() if not _VOLATILE.search(k)}
    return [_lasting(v) for v in value] if isinstance(value, list) else value
