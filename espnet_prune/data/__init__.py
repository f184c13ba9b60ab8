"""Recordings and utterances: audio, Kaldi-style folders, RTTM, UEM, lists of files."""

from espnet_prune.data.audio import SAMPLE_RATE
from espnet_prune.data.formatting import Formatted, LengthLimits, format_speech
from espnet_prune.data.meetings import (
    DataDir,
    Statistics,
    check_data_dir,
    read_data_dir,
    scored_regions,
    write_data_dir,
)
from espnet_prune.data.rttm import Turn, from_annotation, read_rttm, to_annotation, write_rttm
from espnet_prune.data.tables import DataError
from espnet_prune.data.uem import Region, read_uem, write_uem
from espnet_prune.data.utterances import (
    UtteranceDir,
    read_audio_list,
    read_utterance_dir,
    write_utterance_dir,
)

__all__ = [
    "SAMPLE_RATE",
    "DataDir",
    "DataError",
    "Formatted",
    "LengthLimits",
    "Region",
    "Statistics",
    "Turn",
    "UtteranceDir",
    "check_data_dir",
    "format_speech",
    "from_annotation",
    "read_audio_list",
    "read_data_dir",
    "read_rttm",
    "read_uem",
    "read_utterance_dir",
    "scored_regions",
    "to_annotation",
    "write_data_dir",
    "write_rttm",
    "write_uem",
    "write_utterance_dir",
]
