"""Two budgets on parameters, of front end and Transformer each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from espnet_prune.pruning.budgets.params import Params


@dataclass(frozen=True)
class Separate(Params):
    """Parameters of front end and Transformer apart (HJ-Pruning-SepSize, Peng et al., 2023)."""

    parts: ClassVar = {"front_end": ("conv",), "transformer": ("head", "ffn", "rank")}
