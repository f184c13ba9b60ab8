"""Windows of one recording, joined."""

import numpy as np
import pytest

from espnet_prune.diarization.stitching import stitch, to_turns


def test_windows_that_agree_give_the_recording_back():
    generator = np.random.default_rng(0)
    recording = generator.random((60, 3)) < 0.4
    firsts = np.arange(0, 41, 10)
    activity, labels = [], []
    for first in firsts:
        order = generator.permutation(3)
        activity.append(recording[first : first + 20][:, order])
        labels.append(order)
    result = stitch(np.stack(activity).astype(np.float32), np.stack(labels), firsts, 60)
    assert np.array_equal(result, recording)


def test_the_majority_decides_how_many_speak():
    activity = np.zeros((3, 4, 2), dtype=np.float32)
    activity[:2, :, 0] = 1  # two of three windows hear somebody
    activity[0, :, 1] = 1  # only one hears a second speaker
    result = stitch(activity, np.array([[0, 1]] * 3), np.zeros(3, dtype=np.int64), 4)
    assert result[:, 0].all() and not result[:, 1].any()


def test_unassigned_speakers_become_nobody():
    activity = np.ones((1, 5, 2), dtype=np.float32)
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
