"""Trainings of several processes at once: what each did, said and learned."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import pty
import struct
import sys
import termios
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from espnet2.train.trainer import Trainer

# In seconds; a training takes a few.
_HANGS = 120
_WRITING = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink")
# What takes seconds to import is there before the processes part. They are no forks of the tests'
# own process: torch refuses to compute gradients in a fork of one that has computed some.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__, "espnet_prune.bin.powerset_train", "espnet2.tasks.asr"])


class Rank(NamedTuple):
    """How a process ended: status, standard error, bars, what it wrote, and its last weights."""

    status: int | None
    said: str
    bars: str
    written: str
    weights: dict[str, torch.Tensor]


def run_ranks(
    main: Callable[..., object],
    commands: Sequence[list[str]],
    folder: Path,
    prepare: Callable[[], object] | None = None,
) -> list[Rank]:
    """Run ``main`` on a command each at once, as ESPnet's own options have it, without a launcher.

    They meet in a file of the new ``folder``. Each calls ``prepare`` first.
    """
    folder.mkdir()
    together = ["--ngpu", "0", "--dist_backend", "gloo", "--dist_world_size", str(len(commands))]
    together += ["--dist_init_method", f"file://{folder}/rendezvous"]
    terminals = [_terminal() for _ in commands]
    processes = [
        _SERVER.Process(
            target=_rank,
            args=(main, [*command, *together], rank, folder, os.ttyname(inner), prepare),
        )
        for rank, (command, (_, inner)) in enumerate(zip(commands, terminals, strict=True))
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(_HANGS)
        if process.is_alive():
            process.kill()
            process.join()
    return [_found(folder, *each) for each in enumerate(zip(processes, terminals, strict=True))]


def _terminal() -> tuple[int, int]:
    """Both ends of a terminal of 80 columns: one without has no bars."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    return outer, inner


def _rank(main, command, rank, folder, terminal, prepare) -> None:
    """One process, which ends here."""
    status = 1
    try:
        torch.set_num_threads(1)
        os.environ |= {"PROGRESS_FILE": terminal, "GLOO_SOCKET_IFNAME": "lo"}
        sys.stderr = (folder / f"{rank}.err").open("w", buffering=1)
        _tell_writes(folder / f"{rank}.written")
        _keep_weights(folder / f"{rank}.pth")
        if prepare is not None:
            prepare()
        main(cmd=[*command, "--dist_rank", str(rank)])
        status = 0
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _tell_writes(path: Path) -> None:
    """Write every file that this process writes or removes to ``path``."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _WRITING or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            os.write(log, f"{event} {arguments[0]}\n".encode())

    sys.addaudithook(hook)


def _keep_weights(path: Path) -> None:
    """Make ESPnet's trainer leave the weights of this very process in ``path``."""
    run = Trainer.run.__func__

    def run_and_keep(cls: type, model: torch.nn.Module, **options: Any) -> None:
        run(cls, model=model, **options)
        torch.save(model.state_dict(), path)

    Trainer.run = classmethod(run_and_keep)


def _found(folder: Path, rank: int, pair: tuple[Any, tuple[int, int]]) -> Rank:
    process, (outer, inner) = pair
    os.set_blocking(outer, False)
    try:
        bars = os.read(outer, 1 << 16).decode()
    except BlockingIOError:
        bars = ""
    os.close(outer), os.close(inner)
    kept = folder / f"{rank}.pth"
    weights = torch.load(kept, weights_only=True) if kept.exists() else {}
    said, written = ((folder / f"{rank}.{kind}").read_text() for kind in ("err", "written"))
    return Rank(process.exitcode, said, bars, written, weights)
