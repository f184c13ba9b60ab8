"""Corpora of utterances as distributed, prepared for training and scoring."""

from __future__ import annotations

from espnet_prune.speech.corpora.barista import BARISTA
from espnet_prune.speech.corpora.corpus import Found, Size, SpeechCorpus, Utterance
from espnet_prune.speech.corpora.librispeech import LIBRISPEECH
from espnet_prune.speech.corpora.prepare import prepare
from espnet_prune.speech.corpora.slurp import SLURP
from espnet_prune.speech.corpora.speechocean762 import SPEECHOCEAN762

CORPORA = {
    "librispeech": LIBRISPEECH,
    "speechocean762": SPEECHOCEAN762,
    "slurp": SLURP,
    "picovoice_barista": BARISTA,
}

__all__ = [
    "BARISTA",
    "CORPORA",
    "LIBRISPEECH",
    "SLURP",
    "SPEECHOCEAN762",
    "Found",
    "Size",
    "SpeechCorpus",
    "Utterance",
    "prepare",
]
