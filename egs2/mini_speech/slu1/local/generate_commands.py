#!/usr/bin/env python3
"""Generates commands of eight intents, spoken by synthetic voices.

A line of `text` is the intent and then the transcript, as in ESPnet's recipes for SLU.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from grammar import draw
from spoken_commands import FILLERS, INTENTS
from utterances import generate, get_parser


def compose(rng: np.random.Generator, index: int, set_name: str) -> tuple[str, str]:
    """Returns what is said, and the same after its intent; intents take turns."""
    intent = list(INTENTS)[index % len(INTENTS)]
    command = draw(rng, INTENTS[intent], FILLERS, set_name)
    return command, f"{intent} {command}"


def main(cmd: Sequence[str] | None = None) -> None:
    """Generates the corpus."""
    generate(get_parser(__doc__).parse_args(cmd), compose)


if __name__ == "__main__":
    main()
