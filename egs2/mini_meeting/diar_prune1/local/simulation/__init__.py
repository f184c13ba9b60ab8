"""Simulated conversations: read utterances of single speakers, mixed as people take turns."""

from __future__ import annotations

from egs2.mini_meeting.diar_prune1.local.simulation.corpus import Corpus
from egs2.mini_meeting.diar_prune1.local.simulation.simulate import Settings, simulate
from egs2.mini_meeting.diar_prune1.local.simulation.turn_taking import (
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
