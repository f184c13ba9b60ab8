"""Simulated conversations: read utterances of single speakers, mixed as people take turns."""

from __future__ import annotations

from espnet_prune.data.simulation.corpus import Corpus
from espnet_prune.data.simulation.simulate import Settings, simulate
from espnet_prune.data.simulation.turn_taking import (
    TurnTaking,
    measure_turn_taking,
    read_turn_taking,
    turn_taking_table,
)

__all__ = [
    "Corpus",
    "Settings",
    "TurnTaking",
    "measure_turn_taking",
    "read_turn_taking",
    "simulate",
    "turn_taking_table",
]
