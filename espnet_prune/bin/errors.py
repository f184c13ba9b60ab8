"""Users' mistakes end a command with one message and status 2, not with a traceback."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator

from espnet_prune.pruning import BudgetMissed


class Refused(SystemExit):
    """The end of a command that could not do what was asked; status 2, as argparse has it."""

    def __init__(self, message: str):
        super().__init__(message)
        self.code = 2


@contextlib.contextmanager
def explained(command: str) -> Iterator[None]:
    """Print the message of an expected error raised inside the block, and exit with status 2.

    Bad data, configurations and checkpoints are all ``ValueError``; a full disk is ``OSError``.

    Raises:
        Refused: with the message.
    """
    # A terminal may lack the letters of a path or of a speaker's name.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except (ValueError, OSError, BudgetMissed) as error:
        raise refused(f"{command}: {_message(error)}") from error
    except KeyboardInterrupt:
        print(f"{command}: interrupted", file=sys.stderr)
        sys.exit(130)  # as shells say it


def refused(message: str) -> Refused:
    """Print ``message``, and make what is to be raised then."""
    print(message, file=sys.stderr)
    return Refused(message)


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
