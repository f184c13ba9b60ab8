"""Kaldi-style data directories: one text file per kind of fact about the recordings of a set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from recordings import Recording
from turns import Turn


def write_data_dir(folder: Path, recordings: Sequence[Recording]) -> None:
    """Writes wav.scp, reco2dur, uem, rttm, segments, utt2spk and spk2utt; times in seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    segments = {
        _utterance_id(recording, turn): (recording, turn)
        for recording in recordings
        for turn in recording.turns
    }
    spk2utt: dict[str, list[str]] = {}
    for utterance, (_, turn) in sorted(segments.items()):
        spk2utt.setdefault(turn.speaker, []).append(utterance)
    files = {
        "wav.scp": [f"{item.recording} {item.path}" for item in recordings],
        "reco2dur": [f"{item.recording} {item.duration:.3f}" for item in recordings],
        "uem": [f"{item.recording} 1 0.000 {item.duration:.3f}" for item in recordings],
        "segments": [
            f"{utterance} {recording.recording} {turn.start:.3f} {turn.end:.3f}"
            for utterance, (recording, turn) in segments.items()
        ],
        "utt2spk": [f"{utterance} {turn.speaker}" for utterance, (_, turn) in segments.items()],
        "spk2utt": [f"{speaker} {' '.join(own)}" for speaker, own in spk2utt.items()],
    }
    for name, lines in files.items():
        _write(folder / name, sorted(lines))
    # By time, as people read it.
    rttm = [
        f"SPEAKER {recording.recording} 1 {turn.start:.3f} {turn.end - turn.start:.3f} "
        f"<NA> <NA> {turn.speaker} <NA> <NA>"
        for recording in recordings
        for turn in recording.turns
    ]
    _write(folder / "rttm", rttm)


def _utterance_id(recording: Recording, turn: Turn) -> str:
    start, end = (round(100 * time) for time in (turn.start, turn.end))
    return f"{turn.speaker}_{recording.recording}_{start:06d}_{end:06d}"


def _write(path: Path, lines: Sequence[str]) -> None:
    partial = path.with_name(f"{path.name}.tmp")
    partial.write_text("".join(f"{line}\n" for line in lines))
    os.replace(partial, path)
