#!/usr/bin/env python3
"""Generates short sentences of a small grammar, spoken by synthetic voices, with transcripts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from stories import story
from utterances import generate, get_parser


def compose(rng: np.random.Generator, index: int, set_name: str) -> tuple[str, str]:
    """Returns a sentence as what is said and as its transcript."""
    sentence = story(rng, index, set_name)
    return sentence, sentence


def main(cmd: Sequence[str] | None = None) -> None:
    """Generates the corpus."""
    generate(get_parser(__doc__).parse_args(cmd), compose)


if __name__ == "__main__":
    main()
