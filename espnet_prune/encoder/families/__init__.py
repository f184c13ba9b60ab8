"""The families of encoders, by the name that configs call them by."""

from espnet_prune.encoder.config import FAMILIES
from espnet_prune.encoder.families.base import Family, WavLM
from espnet_prune.encoder.families.whisper import Whisper

# A new family is a subclass of Family and one line here.
FAMILIES.update(
    wavlm=WavLM("WavLM"),
    hubert=Family("HuBERT"),
    wav2vec2=Family("wav2vec 2.0"),
    whisper=Whisper("Whisper"),
)

__all__ = ["FAMILIES", "Family"]
