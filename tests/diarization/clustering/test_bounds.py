"""How many speakers are allowed, and how a clustering that ignores it is held to it."""

from __future__ import annotations

import numpy as np
import pytest

from espnet_prune.diarization.clustering.base import BoundedClustering, SpeakerBounds, in_order
from espnet_prune.encoder import ConfigError
from tests.diarization.clustering.voices import noisy, same_partition


def test_nearest():
    assert SpeakerBounds().nearest(7, 9) == 7
    assert SpeakerBounds(2, 4).nearest(1, 9) == 2
    assert SpeakerBounds(2, 4).nearest(7, 9) == 4
    assert SpeakerBounds(2, 4).nearest(7, 3) == 3
    assert SpeakerBounds(5, 5).nearest(1, 2) == 2


def test_what_users_know():
    assert SpeakerBounds.of() == SpeakerBounds(1, None)
    assert SpeakerBounds.of(3) == SpeakerBounds(3, 3)
    assert SpeakerBounds.of(None, 2, None) == SpeakerBounds(2, None)
    assert SpeakerBounds.of(None, None, 4) == SpeakerBounds(1, 4)
    for given in [(0, None, None), (None, 0, None), (None, None, 0), (None, 3, 2), (2, 1, 3)]:
        with pytest.raises(ConfigError, match="found .*num_speakers|found min_speakers"):
            SpeakerBounds.of(*given)


VOICES = [0, 1, 2, 0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("found", [[0] * 9, list(range(9)), [4, 4, 4, 7, 7, 7, 1, 1, 1]])
def test_a_number_of_speakers_that_was_not_found(found):
    clustering = BoundedClustering(lambda embeddings, windows: np.array(found))
    embeddings, windows = noisy(VOICES), np.arange(9)
    free = clustering(embeddings, windows)
    assert same_partition(free, found) and free[0] == 0
    bounds = SpeakerBounds(3, 3)
    labels = clustering(embeddings, windows, bounds)
    expected = found if len(set(found)) == 3 else VOICES
    assert same_partition(labels, expected)
    assert labels.tolist() == clustering(embeddings, windows, bounds).tolist()


def test_labels_in_order():
    assert in_order(np.array([7, 7, -1, 3, 7, -1])).tolist() == [0, 0, 1, 2, 0, 1]
