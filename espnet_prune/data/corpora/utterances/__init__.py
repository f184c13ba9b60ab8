"""Corpora of utterances as distributed, prepared for training and scoring."""

from __future__ import annotations

from espnet_prune.data.corpora.utterances.barista import BARISTA
from espnet_prune.data.corpora.utterances.corpus import Size, SpeechCorpus, prepare
from espnet_prune.data.corpora.utterances.librispeech import LIBRISPEECH
from espnet_prune.data.corpora.utterances.slurp import SLURP
from espnet_prune.data.corpora.utterances.speechocean762 import SPEECHOCEAN762

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
    "Size",
    "SpeechCorpus",
    "prepare",
]
