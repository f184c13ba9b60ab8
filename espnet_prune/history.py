"""How a model came to be: steps, oldest first, which ``config.json`` of its folder keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from espnet_prune import __version__
from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.typed import shown
from espnet_prune.environment import this_environment

HISTORY = "history"
"""The key of ``config.json``."""
Step = Mapping[str, Any]
"""What was done under ``step``, beside it facts as JSON has them."""


def new_step(step: str, **facts: Any) -> Step:
    """A step of today: what was done, those ``facts`` that are not None, and by which versions.

    Example:
        >>> from espnet_prune.history import new_step
        >>> list(new_step("compressed", target=0.5, seed=None))[:2]
        ['step', 'target']
    """
    here = this_environment()
    made = {"espnet_prune": __version__, "torch": here.torch, "espnet": here.espnet}
    made |= {"commit": here.git_commit, "date": here.date[:10]}
    return {
        "step": step,
        **{key: value for key, value in {**facts, **made}.items() if value is not None},
    }


def read_history(steps: object, source: object) -> tuple[Step, ...]:
    """The steps that a config of ``source`` holds; CheckpointError if they are none."""
    if isinstance(steps, Sequence) and all(
        isinstance(each, Mapping) and isinstance(each.get("step"), str) for each in steps
    ):
        return tuple(steps)
    raise CheckpointError(
        f"{source}: expected {HISTORY}, a list of mappings with a step each, found {shown(steps)}; "
        "remove it from the config"
    )


def public_name(source: object) -> str | None:
    """What others may know a model or folder by: relative, without the folders of this machine.

    Of an absolute path that is the last part, of a URL all but the name and key of its user.
    """
    if source is None:
        return None
    text = str(source)
    url = urlsplit(text)
    if url.scheme in ("http", "https"):
        return f"{url.scheme}://{url.hostname}{url.path}"
    path = Path(url.path if url.scheme == "file" else text)
    return path.name if path.is_absolute() else text
