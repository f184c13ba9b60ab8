#!/usr/bin/env python3
"""Generates the sentences of asr1 and the commands of slu1 in turn, with transcripts."""

from __future__ import annotations

from collections.abc import Sequence

import generate_commands
import generate_stories
import numpy as np
from utterances import generate, get_parser


def compose(rng: np.random.Generator, index: int, set_name: str) -> tuple[str, str]:
    """Returns a sentence or a command, as what is said and as its transcript."""
    source = (generate_stories, generate_commands)[index % 2]
    words, _ = source.compose(rng, index // 2, set_name)
    return words, words


def main(cmd: Sequence[str] | None = None) -> None:
    """Generates the corpus."""
    generate(get_parser(__doc__).parse_args(cmd), compose)


if __name__ == "__main__":
    main()
