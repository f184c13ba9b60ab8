"""From speakers of windows to speakers of a recording, on one grid of frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from espnet_prune.diarization.rttm import Turn
from espnet_prune.diarization.windows import FRAME_CENTRE, FRAME_SHIFT


def stitch(
    activity: NDArray[np.float32],
    labels: NDArray[np.int64],
    first_frames: NDArray[np.int64],
    num_frames: int,
) -> NDArray[np.bool_]:
    """Let the windows vote, frame by frame, on how many speak and who.

    The number of speakers is the rounded mean over the windows that see the frame; that many of
    the clusters with the most votes are active (as in pyannote.audio, Bredin, 2023).

    Args:
        activity: ``(W, L, S)`` zeros and ones per window and local speaker.
        labels: ``(W, S)`` the cluster of each local speaker, -1 for none.
        first_frames: ``(W,)`` frame of the recording at which each window starts.
        num_frames: frames of the recording.

    Returns:
        ``(num_frames, M)`` who is active.
    """
    num_clusters = int(labels.max(initial=-1)) + 1
    votes = np.zeros((num_frames, num_clusters), dtype=np.float32)
    count = np.zeros(num_frames, dtype=np.float32)
    seen = np.zeros(num_frames, dtype=np.float32)
    for window, first in zip(range(len(activity)), first_frames, strict=True):
        frames = slice(first, min(first + activity.shape[1], num_frames))
        inside = activity[window, : frames.stop - frames.start]
        seen[frames] += 1
        known = labels[window] >= 0
        count[frames] += inside[:, known].sum(axis=1)
        votes[frames, labels[window, known]] += inside[:, known]
    speakers = np.rint(count / seen.clip(min=1)).astype(np.int64)
    rank = np.argsort(np.argsort(-votes, axis=1, kind="stable"), axis=1, kind="stable")
    return (rank < speakers[:, None]) & (votes > 0)


def to_turns(active: NDArray[np.bool_], recording: str) -> list[Turn]:
    """Turns of ``(L, M)`` activity; edges lie midway between frame centres."""
    padded = np.pad(active, ((1, 1), (0, 0))).astype(np.int8)
    changes = np.diff(padded, axis=0)
    turns = []
    offset = FRAME_CENTRE - FRAME_SHIFT / 2
    for speaker in range(active.shape[1]):
        starts = np.flatnonzero(changes[:, speaker] == 1)
        ends = np.flatnonzero(changes[:, speaker] == -1)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            begin = max(0.0, offset + FRAME_SHIFT * start)
            length = offset + FRAME_SHIFT * end - begin
            turns.append(Turn(recording, round(begin, 4), round(length, 4), f"spk{speaker}"))
    return sorted(turns, key=lambda turn: (turn.start, turn.speaker))
