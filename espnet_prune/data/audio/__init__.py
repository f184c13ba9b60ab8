"""Audio of any kind as streams of 16 kHz mono: files, open files, arrays, archives, commands."""

from espnet_prune.data.audio.files import (
    SAMPLE_RATE,
    SUFFIXES,
    blocks,
    open_any_audio,
    open_audio,
)
from espnet_prune.data.audio.foreign import FOREIGN
from espnet_prune.data.audio.kaldi import parse_source, parse_wav, read_scp
from espnet_prune.data.audio.sources import AudioSource, Source, as_source
from espnet_prune.data.audio.stream import AudioStream

__all__ = [
    "FOREIGN",
    "SAMPLE_RATE",
    "SUFFIXES",
    "AudioSource",
    "AudioStream",
    "Source",
    "as_source",
    "blocks",
    "open_any_audio",
    "open_audio",
    "parse_source",
    "parse_wav",
    "read_scp",
]
