"""Users' mistakes end a command with one message and status 2, not with a traceback."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def explained(command: str, logs: bool = False) -> Iterator[None]:
    """Print the message of an expected error raised inside, and exit with status 2.

    Bad data, configurations and checkpoints are all ``ValueError``; a full disk is ``OSError``.
    What is printed inside is written when it ends, so that it holds results, too.

    Args:
        command: begins the message.
        logs: show what is logged, from INFO on.
    """
    # A terminal may lack the letters of a path or of a speaker's name.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if logs:
        logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up_output()
        sys.exit(141)  # as shells say it; whoever read the output wants no more
    except _expected() as error:
        raise refused(f"{command}: {_message(error)}") from error
    except KeyboardInterrupt:
        print(f"{command}: interrupted", file=sys.stderr)
        sys.exit(130)  # as shells say it


def refused(message: str) -> SystemExit:
    """Print ``message``, and make what is to be raised then: status 2, as argparse has it."""
    try:
        sys.stdout.flush()
    except OSError:
        _give_up_output()
    with contextlib.suppress(OSError):  # a full disk has no room for a log either
        print(message, file=sys.stderr, flush=True)
    end = SystemExit(message)
    end.code = 2
    return end


def _expected() -> tuple[type[Exception], ...]:
    # Whoever raises BudgetMissed has imported its module, which brings torch.
    module = sys.modules.get("espnet_prune.pruning.rounding")
    return (ValueError, OSError, *([module.BudgetMissed] if module else []))


def _give_up_output() -> None:
    """Let Python not try again, when it ends, to write what cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _message(error: Exception) -> str:
    if not (isinstance(error, OSError) and error.strerror):
        return str(error)
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if error.errno == errno.ENOSPC:
        return "no space left on the disk of the output; make room and run it again"
    return error.strerror
