"""The devices of a machine: which one is meant, and whether it is there."""

from __future__ import annotations

import torch

from espnet_prune.encoder import ConfigError
from espnet_prune.inference.names import AUTO

# Those that are chosen, the first that is there.
_ACCELERATORS = {"cuda": torch.cuda, "mps": torch.backends.mps, "xpu": torch.xpu}


def usable_device(device: torch.device | str) -> torch.device:
    """The device of that name; ``auto`` is the first of cuda, mps, xpu that is there, or the cpu.

    Raises:
        ConfigError: this machine has none of that name.

    Example:
        >>> from espnet_prune.inference import usable_device
        >>> usable_device("cpu")
        device(type='cpu')
    """
    if device == AUTO:
        there = (name for name, kind in _ACCELERATORS.items() if kind.is_available())
        device = next(there, "cpu")
    problem = "which computes nothing"
    try:
        found = torch.device(device)
        if found.type != "meta":
            torch.empty(1, device=found)
            return found
    except NotImplementedError:  # whose text is pages long
        problem = "which this torch was built without"
    except (RuntimeError, AssertionError, ImportError) as error:
        problem = str(error).split("\n")[0].rstrip(".")
    raise ConfigError(
        f"expected a device of this machine, found {device} ({problem}); use {AUTO} or cpu"
    )
