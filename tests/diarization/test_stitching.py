"""Windows of one recording, joined."""

import numpy as np
import pytest

from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.stitching import (
    close_gaps,
    drop_short,
    first_speech,
    stitch,
    to_turns,
)


def windows_of(recording, firsts, length, seed=1):
    """Windows of the recording's activity, their speakers in random order."""
    generator = np.random.default_rng(seed)
    labels = np.stack([generator.permutation(recording.shape[1]) for _ in firsts])
    activity = [
        recording[first : first + length][:, order]
        for first, order in zip(firsts, labels, strict=True)
    ]
    return np.stack(activity).astype(np.uint8), labels


def test_windows_that_agree_give_the_recording_back():
    recording = np.random.default_rng(0).random((60, 3)) < 0.4
    firsts = np.arange(0, 41, 10)
    activity, labels = windows_of(recording, firsts, 20)
    assert np.array_equal(stitch(activity, labels, firsts, 60), recording)


@pytest.mark.parametrize("block", [1, 7, 20, 59])
def test_blocks_do_not_matter(block):
    generator = np.random.default_rng(0)
    firsts = np.array([0, 4, 4, 13, 40, 41])
    activity = (generator.random((6, 19, 3)) < 0.5).astype(np.uint8)
    labels = np.stack([generator.permutation(5)[:3] for _ in firsts])
    labels[2, 1] = -1
    whole = stitch(activity, labels, firsts, 60, block=1000)
    assert whole.any() and np.array_equal(stitch(activity, labels, firsts, 60, block), whole)


def test_the_majority_decides_how_many_speak():
    activity = np.zeros((3, 4, 2), dtype=np.uint8)
    activity[:2, :, 0] = 1  # two of three windows hear somebody
    activity[0, :, 1] = 1  # only one hears a second speaker
    result = stitch(activity, np.array([[0, 1]] * 3), np.zeros(3, dtype=np.int64), 4)
    assert result[:, 0].all() and not result[:, 1].any()


def test_unassigned_speakers_become_nobody():
    activity = np.ones((1, 5, 2), dtype=np.uint8)
    result = stitch(activity, np.array([[-1, 0]]), np.zeros(1, dtype=np.int64), 5)
    assert result.shape == (5, 1) and result.all()
    silent = stitch(activity, np.array([[-1, -1]]), np.zeros(1, dtype=np.int64), 5)
    assert silent.shape == (5, 0) and to_turns(silent, "r") == []


def test_turns_have_frame_centres_inside():
    active = np.zeros((10, 2), dtype=bool)
    active[2:5, 1] = True
    active[9, 0] = True
    first, last = to_turns(active, "r")
    assert (first.speaker, last.speaker) == ("spk1", "spk0")
    assert first.start == pytest.approx(0.0125 + 2 * 0.02 - 0.01)
    assert first.duration == pytest.approx(3 * 0.02)
    assert last.end == pytest.approx(0.0025 + 10 * 0.02)


@pytest.mark.parametrize("hop", [320, 321])  # edges of 0.1 ms, and of less
def test_turns_that_adjoin_do_so_at_the_same_time(hop: int) -> None:
    active = np.eye(2, dtype=bool)[np.arange(400) % 2]  # one after another, never both
    turns = to_turns(active, "r", FrameGrid(hop, 405))
    assert [turn.end for turn in turns[:-1]] == pytest.approx(
        [turn.start for turn in turns[1:]], abs=1e-9
    )


def test_gaps_are_filled_and_short_turns_left_out():
    active = np.zeros((11, 2), dtype=bool)
    active[[1, 2, 5, 9], 0] = active[[0, 3], 1] = True
    filled, alone = active.copy(), active.copy()
    close_gaps(filled, 3)
    assert filled[:, 0].tolist() == [0, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0]
    assert filled[:, 1].tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    close_gaps(alone, 3, alone=True)
    assert np.array_equal(alone, active)  # in each gap somebody else speaks
    drop_short(filled, 2)
    assert filled[:, 0].tolist() == [0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    untouched = active.copy()
    close_gaps(untouched, 0)
    drop_short(untouched, 0)
    assert np.array_equal(untouched, active)


def test_speakers_in_the_order_of_first_speech():
    active = np.zeros((6, 4), dtype=bool)
    active[4:, 0] = active[1, 1] = active[3, 3] = active[5, 3] = True
    assert first_speech(active).tolist() == [1, 3, 0]
    assert first_speech(active[:0]).tolist() == []


def test_one_at_a_time():
    recording = np.random.default_rng(0).random((60, 3)) < 0.6
    firsts = np.arange(0, 41, 10)
    activity, labels = windows_of(recording, firsts, 20)
    single = stitch(activity, labels, firsts, 60, most=1)
    assert np.array_equal(single.any(axis=1), recording.any(axis=1))
    assert single.sum(axis=1).max() == 1 and not (single & ~recording).any()
