"""The families of encoders, by the name that configs call them by."""

from espnet_prune.ssl.families.base import Family
from espnet_prune.ssl.families.wavlm import WavLM
from espnet_prune.ssl.families.whisper import Whisper

FAMILIES: dict[str, Family] = {
    "wavlm": WavLM(),
    "hubert": Family("HuBERT"),
    "wav2vec2": Family("wav2vec 2.0"),
    "whisper": Whisper(),
}
"""A new family is a subclass of :class:`Family` in a file of its own, and one line here."""

__all__ = ["FAMILIES", "Family"]
