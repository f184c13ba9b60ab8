"""Utterance-level corpora: data directories, lists of audio files, and their preparation."""

from __future__ import annotations

from espnet_prune.speech.audio_list import read_audio_list
from espnet_prune.speech.data_dir import UtteranceDir, read_utterance_dir, write_utterance_dir
from espnet_prune.speech.formatting import Formatted, LengthLimits, format_speech

__all__ = [
    "Formatted",
    "LengthLimits",
    "UtteranceDir",
    "format_speech",
    "read_audio_list",
    "read_utterance_dir",
    "write_utterance_dir",
]
