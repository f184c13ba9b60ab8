"""Users' mistakes end a command with one message, not a traceback."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from espnet_prune.pruning import BudgetMissed


@contextlib.contextmanager
def explained(command: str) -> Iterator[None]:
    """Exit with status 1 and the message of an expected error raised inside the block.

    Bad data, configurations and checkpoints are all ``ValueError``; a full disk is ``OSError``.
    """
    try:
        yield
    except (ValueError, OSError, BudgetMissed) as error:
        sys.exit(f"{command}: {error}")
