"""From speakers of windows to speakers of a recording, on one grid of frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from espnet_prune.data.rttm import Turn
from espnet_prune.diarization.frames import FrameGrid

_BLOCK = 3000  # frames that are joined at a time


def stitch(
    activity: NDArray[np.uint8],
    labels: NDArray[np.int64],
    first_frames: NDArray[np.int64],
    num_frames: int,
    block: int = _BLOCK,
    most: float = np.inf,
) -> NDArray[np.bool_]:
    """Let the windows vote, frame by frame, on how many speak and who.

    The number of speakers is the rounded mean over the windows that see the frame, and ``most`` at
    most; that many of the clusters with the most votes are active (as in pyannote.audio, Bredin,
    2023).

    Of the activity ``(W, L, S)``, zeros and ones, the clusters ``(W, S)`` of the local speakers, -1
    for none, and the frames ``(W,)`` of the recording, ascending, at which the windows start, comes
    ``(num_frames, M)`` who is active. Votes are held for a block of frames at a time.
    """
    num_clusters = int(labels.max(initial=-1)) + 1
    active = np.zeros((num_frames, num_clusters), dtype=bool)
    length = activity.shape[1]
    for start in range(0, num_frames, block):
        stop = min(start + block, num_frames)
        # Windows that begin before the block ends, and end after it begins.
        first = int(np.searchsorted(first_frames, start - length, side="right"))
        last = int(np.searchsorted(first_frames, stop, side="left"))
        offsets = first_frames[first:last] - start
        _vote(activity[first:last], labels[first:last], offsets, active[start:stop], most)
    return active


def _vote(
    activity: NDArray[np.uint8],
    labels: NDArray[np.int64],
    offsets: NDArray[np.int64],
    active: NDArray[np.bool_],
    most: float,
) -> None:
    """Set who is ``active`` in a block of frames, which windows see from ``offsets`` on."""
    num_frames = len(active)
    votes = np.zeros(active.shape, dtype=np.float32)
    count, seen = np.zeros((2, num_frames), dtype=np.float32)
    for window, offset in enumerate(offsets.tolist()):
        frames = slice(max(0, offset), min(offset + activity.shape[1], num_frames))
        inside = activity[window, frames.start - offset : frames.stop - offset]
        seen[frames] += 1
        known = labels[window] >= 0
        count[frames] += inside[:, known].sum(axis=1)
        votes[frames, labels[window, known]] += inside[:, known]
    speakers = np.rint(count / seen.clip(min=1)).clip(max=most).astype(np.int64)
    rank = np.argsort(np.argsort(-votes, axis=1, kind="stable"), axis=1, kind="stable")
    active[:] = (rank < speakers[:, None]) & (votes > 0)


def close_gaps(active: NDArray[np.bool_], frames: float, alone: bool = False) -> None:
    """Fill the gaps of each speaker in ``(L, M)`` that are shorter than so many frames.

    With ``alone``, those stay in which somebody else speaks.
    """
    for speaker in range(active.shape[1]):
        starts, ends = _runs(active[:, speaker])
        for end, start in zip(ends[:-1], starts[1:], strict=True):
            if start - end < frames and not (alone and active[end:start].any()):
                active[end:start, speaker] = True


def drop_short(active: NDArray[np.bool_], frames: float) -> None:
    """Take out what each speaker in ``(L, M)`` says in a row for less than so many frames."""
    for speaker in range(active.shape[1]):
        for start, end in zip(*_runs(active[:, speaker]), strict=True):
            if end - start < frames:
                active[start:end, speaker] = False


def first_speech(active: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The columns of ``(L, M)`` with any speech, in the order of its beginning."""
    heard = np.flatnonzero(active.any(axis=0))
    begins = [active[:, speaker].argmax() for speaker in heard]
    return heard[np.argsort(begins, kind="stable")]


def to_turns(
    active: NDArray[np.bool_],
    recording: str,
    grid: FrameGrid | None = None,
    names: Sequence[str] | None = None,
) -> list[Turn]:
    """Turns of ``(L, M)`` activity on a grid; edges lie midway between frame centres.

    Speakers are called by their ``names``, or else ``spk0``, ``spk1``, ...
    """
    turns = []
    grid = grid or FrameGrid()
    for speaker in range(active.shape[1]):
        name = f"spk{speaker}" if names is None else names[speaker]
        starts, ends = _runs(active[:, speaker])
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            turns.append(turn_of(recording, start, end, name, grid))
    return sorted(turns, key=lambda turn: (turn.start, turn.speaker))


def turn_of(recording: str, start: int, end: int, speaker: str, grid: FrameGrid) -> Turn:
    """The turn of the frames ``[start, end)``; its edges lie midway between frame centres."""
    offset = grid.centre - grid.shift / 2
    begin, stop = (round(max(0.0, offset + grid.shift * edge), 4) for edge in (start, end))
    # Of rounded edges: a turn would end after the next one's begin where both are rounded up.
    return Turn(recording, begin, round(stop - begin, 4), speaker)


def _runs(active: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each stretch of True in ``(L,)`` starts and ends."""
    changes = np.diff(active.astype(np.int8), prepend=0, append=0)
    return np.flatnonzero(changes == 1), np.flatnonzero(changes == -1)
