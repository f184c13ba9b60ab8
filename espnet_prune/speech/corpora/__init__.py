"""Corpora of utterances as distributed, prepared for training and scoring."""

from __future__ import annotations

from espnet_prune.speech.corpora.corpus import Found, Size, SpeechCorpus, Utterance
from espnet_prune.speech.corpora.librispeech import LIBRISPEECH
from espnet_prune.speech.corpora.prepare import prepare
from espnet_prune.speech.corpora.slurp import SLURP

CORPORA = {"librispeech": LIBRISPEECH, "slurp": SLURP}

__all__ = [
    "CORPORA",
    "LIBRISPEECH",
    "SLURP",
    "Found",
    "Size",
    "SpeechCorpus",
    "Utterance",
    "prepare",
]
