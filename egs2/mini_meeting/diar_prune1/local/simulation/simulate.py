"""Data directories of simulated conversations: drawn from a seed, in parallel, whole or not."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile

from egs2.mini_meeting.diar_prune1.local.simulation.acoustics import Room, open_room, record
from egs2.mini_meeting.diar_prune1.local.simulation.conversation import Conversation
from egs2.mini_meeting.diar_prune1.local.simulation.corpus import FRAME, Corpus
from egs2.mini_meeting.diar_prune1.local.simulation.turn_taking import (
    TurnTaking,
    measure_turn_taking,
)
from egs2.mini_meeting.diar_prune1.local.simulation.voice import Voice
from espnet_prune.data.audio import SAMPLE_RATE
from espnet_prune.data.rttm import Turn, read_rttm, rttm_lines
from espnet_prune.data.tables import DataError, to_text
from espnet_prune.data.uem import Region, uem_lines
from espnet_prune.progress import progress
from espnet_prune.storage.files import new_folder, replace_files

RECORD = "simulation.json"
"""How a folder was made; only folders that have it are replaced."""
_BOUNDS = {
    "recordings": (0, 1e6), "seconds": (0, 36000), "gain_db": (0, 60), "snr_db": (-100, 100),
    "speeds": (0.5, 2.0),
}  # fmt: skip
_TAIL = 30  # Frames after the last word.


@dataclass(frozen=True)
class Settings:
    """What to simulate.

    Attributes:
        recordings: number of recordings.
        num_speakers: speakers of the recordings in turn.
        seconds: range of their length, which long last turns may exceed a little.
        gain_db: every turn is louder or softer than the others by up to so many dB.
        rooms: ``shoebox`` or a SOFA file, see ``open_room``; None for no room.
        snr_db: range of the signal-to-noise ratio; None for no noise.
        speeds: each voice of a recording is that many times as fast and as high, one of them, in
            ascending order.
        seed: of all choices; those of a recording depend on it and on the recording's name.

    Raises:
        ValueError: for numbers beyond all sense, and recordings too short for their speakers.
    """

    recordings: int
    num_speakers: tuple[int, ...] = (2, 3, 4)
    seconds: tuple[float, float] = (30.0, 45.0)
    gain_db: float = 5.0
    rooms: str | None = None
    snr_db: tuple[float, float] | None = None
    speeds: tuple[float, ...] = (1.0,)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            low, high = (value[0], value[-1]) if isinstance(value, tuple) else [value or 0] * 2
            if not least <= low <= high <= most:
                raise ValueError(
                    f"{name}: expected {least:g} to {most:g}, the lower number first, found "
                    f"{low:g} to {high:g}; change them"
                )
        if self.seconds[0] < 3 * max(self.num_speakers):
            raise ValueError(
                f"seconds: expected 3 s or more for each of {max(self.num_speakers)} speakers, "
                f"found {self.seconds[0]:g} s in all; make recordings longer"
            )


@dataclass(frozen=True)
class _Simulation:
    """All that the recordings depend on."""

    corpora: Sequence[Corpus]
    manner: TurnTaking
    settings: Settings
    room: Room | None

    def render(self, index: int, name: str, path: Path) -> tuple[list[Turn], Region]:
        """Write a recording; returns its turns and its extent."""
        settings = self.settings
        digest = hashlib.sha256(name.encode()).digest()
        rng = np.random.default_rng([settings.seed, *digest])
        # Every speaker as often as any other, whatever the corpus.
        sizes = np.array([len(corpus.utterances) for corpus in self.corpora])
        corpus = self.corpora[rng.choice(len(sizes), p=sizes / sizes.sum())]
        number = settings.num_speakers[index % len(settings.num_speakers)]
        present = rng.choice(sorted(corpus.utterances), number, replace=False)
        voices = [
            Voice(f"{corpus.name}-{speaker}", corpus.utterances[speaker], rng, speed)
            for speaker, speed in zip(
                map(str, present), rng.choice(settings.speeds, number), strict=True
            )
        ]
        frames = round(100 * rng.uniform(*settings.seconds))
        turns = Conversation(rng, voices, self.manner).hold(frames)
        frames = max(frames, max(turn.end for turn in turns)) + _TAIL
        wave = record(rng, turns, frames * FRAME, settings.gain_db, self.room, settings.snr_db)
        soundfile.write(path, wave, SAMPLE_RATE, "PCM_16", format="FLAC")
        reference = [
            Turn(name, turn.start / 100, turn.clip.length / 100, turn.voice.name) for turn in turns
        ]
        return reference, Region(name, 0.0, frames / 100)


def simulate(
    corpora: Sequence[Corpus],
    output: str | Path,
    manner: TurnTaking,
    settings: Settings,
    nj: int = 1,
    disjoint_from: Sequence[str | Path] = (),
) -> TurnTaking:
    """Write a data directory: tables as Kaldi has them, ``rttm``, ``uem``, audio, how it was made.

    It appears when it is complete. Recordings are named after the folder; a speaker's label is
    the corpus's name and the speaker's own. The same seed gives the same bytes, whatever ``nj``.

    Args:
        corpora: utterances of single speakers; a recording has speakers of one of them.
        output: the folder, new or an earlier one of this function.
        manner: how people take turns.
        settings: what to simulate.
        nj: recordings to make at a time.
        disjoint_from: data directories whose speakers must not be in this one.

    Returns:
        How the speakers of the simulated conversations take turns.

    Raises:
        DataError: for corpora of one name, too few speakers, or of others' speakers, and audio
            that cannot be read.
        FileExistsError: the folder holds other files.
    """
    output = Path(output)
    repeated = [name for name, n in Counter(corpus.name for corpus in corpora).items() if n > 1]
    if repeated:
        raise DataError(f"expected corpora of different names, found {repeated[0]} twice; rename")
    _require_disjoint(corpora, disjoint_from)
    room = None if settings.rooms is None else open_room(settings.rooms)
    corpora = [corpus.usable(max(settings.num_speakers)) for corpus in corpora]
    simulation = _Simulation(corpora, manner, settings, room)
    with new_folder(output, last=RECORD, replace=True) as folder:
        (folder / "audio").mkdir(parents=True)
        rendered = _render_all(simulation, output.name, folder / "audio", nj)
        turns = {region.recording: own for own, region in rendered}
        regions = {region.recording: [region] for _, region in rendered}
        found = measure_turn_taking(turns, regions)
        made = {"settings": asdict(settings), "target": asdict(manner), "found": asdict(found)}
        tables = _tables(output / "audio", turns, regions)
        files = {name: to_text(lines) for name, lines in tables.items()}
        replace_files(folder, {**files, RECORD: json.dumps(made, indent=1) + "\n"})
    return found


def _tables(
    audio: Path, turns: Mapping[str, Sequence[Turn]], regions: Mapping[str, Sequence[Region]]
) -> dict[str, list[str]]:
    """The lines of all tables: ``segments``, ``utt2spk`` and ``reco2dur`` are for s3prl's sd."""
    segments: dict[str, str] = {}
    speakers: dict[str, str] = {}
    for turn in (turn for recording in turns.values() for turn in recording):
        start, end = round(100 * turn.start), round(100 * turn.end)
        utterance = f"{turn.speaker}_{turn.recording}_{start:06d}_{end:06d}"
        segments[utterance] = f"{turn.recording} {turn.start:.2f} {turn.end:.2f}"
        speakers[utterance] = turn.speaker
    tables: dict[str, dict[str, str]] = {
        "wav.scp": {name: f"{audio / name}.flac" for name in turns},
        "reco2dur": {name: f"{own[-1].end:.2f}" for name, own in regions.items()},
        "segments": segments,
        "utt2spk": speakers,
    }
    lines = {
        name: [f"{key} {table[key]}" for key in sorted(table)] for name, table in tables.items()
    }
    return {**lines, "rttm": rttm_lines(turns), "uem": uem_lines(regions)}


def _require_disjoint(corpora: Sequence[Corpus], others: Sequence[str | Path]) -> None:
    own = {f"{corpus.name}-{speaker}" for corpus in corpora for speaker in corpus.utterances}
    for other in others:
        turns = read_rttm(Path(other) / "rttm")
        shared = own & {turn.speaker for recording in turns.values() for turn in recording}
        if shared:
            raise DataError(
                f"expected no speaker of {other}, found {len(shared)}, the first {min(shared)}; "
                "take them out of one of both"
            )


_shared: list[_Simulation] = []  # What the processes of a pool work on.


def _render(index: int, name: str, path: Path) -> tuple[list[Turn], Region]:
    return _shared[0].render(index, name, path)


def _render_all(
    simulation: _Simulation, prefix: str, folder: Path, nj: int
) -> list[tuple[list[Turn], Region]]:
    number = simulation.settings.recordings
    digits = max(3, len(str(number - 1)))
    names = [f"{prefix}_{index:0{digits}d}" for index in range(number)]
    # Forking spares each process the start of Python and its imports.
    pool = ProcessPoolExecutor(
        min(nj, number), get_context("fork"), initializer=_shared.append, initargs=(simulation,)
    )
    try:
        jobs = [
            pool.submit(_render, index, name, folder / f"{name}.flac")
            for index, name in enumerate(names)
        ]
        for job in progress(as_completed(jobs), f"simulate {prefix}", len(jobs)):
            job.result()
    finally:
        pool.shutdown(cancel_futures=True)
    return [job.result() for job in jobs]
