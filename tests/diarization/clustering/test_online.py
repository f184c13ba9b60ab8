"""Speakers found while the recording goes on."""

from __future__ import annotations

import numpy as np
import pytest

from espnet_prune.diarization.clustering.base import ANY_NUMBER, SpeakerBounds, assign
from espnet_prune.diarization.clustering.online import OnlineClustering
from espnet_prune.encoder import ConfigError

A, B, C = np.eye(3, dtype=np.float32)
CLEAR, UNCLEAR = 10, 9


def online(bounds: SpeakerBounds = ANY_NUMBER, threshold: float = 0.5) -> OnlineClustering:
    return OnlineClustering(threshold, CLEAR, bounds)


def hear(clustering: OnlineClustering, *voices, alone=CLEAR) -> None:
    clustering.add(np.stack(voices), np.broadcast_to(alone, len(voices)))


def speakers(clustering: OnlineClustering) -> list[int]:
    """Which of the voices A, B, C each speaker is."""
    return clustering.sums.argmax(axis=1).tolist()


def test_speakers_come_as_they_are_heard() -> None:
    clustering = online()
    clustering.add(np.zeros((0, 0), dtype=np.float32), np.zeros(0, dtype=np.int64))
    for voices in ([B], [B, A], [A + 0.3 * C], [C, B], [A]):
        hear(clustering, *voices)
    assert speakers(clustering) == [1, 0, 2]


def test_the_voices_of_a_window_are_different_speakers() -> None:
    clustering = online()
    hear(clustering, A, A + 0.1 * B)
    hear(clustering, A)
    assert len(clustering.sums) == 2


def test_a_stranger_takes_no_speaker_from_whom_it_is() -> None:
    """The sum of similarities alone would give B's place to the first voice, its own to nobody."""
    clustering = online()
    hear(clustering, A, B)
    known, stranger = np.array([0.95, 0.3, 0]), np.array([0.45, -0.6, 0.66])
    voices = np.stack([known, stranger]).astype(np.float32)
    same = np.zeros(2, dtype=np.int64)
    assert assign(voices, same, clustering.sums).tolist() == [1, 0]
    assert assign(voices, same, clustering.sums, least=0.5).tolist() == [0, -1]
    hear(clustering, *voices)
    assert len(clustering.sums) == 3


def test_a_voice_that_is_hardly_alone_is_no_new_speaker() -> None:
    clustering = online()
    hear(clustering, A)
    hear(clustering, B, alone=UNCLEAR)
    assert speakers(clustering) == [0]
    hear(clustering, 0.7 * A + 0.7 * B, alone=UNCLEAR)  # nor does it change one
    np.testing.assert_array_equal(clustering.sums, [A])


def test_a_clear_voice_takes_the_place_of_an_unclear_one() -> None:
    clustering = online()
    hear(clustering, A, alone=UNCLEAR)
    assert speakers(clustering) == [0]
    hear(clustering, B)
    assert speakers(clustering) == [1]
    hear(clustering, C)
    assert speakers(clustering) == [1, 2]


def test_an_unclear_voice_of_a_speaker_keeps_its_place() -> None:
    clustering = online()
    hear(clustering, A, alone=UNCLEAR)
    hear(clustering, A, B, alone=[UNCLEAR, CLEAR])
    assert speakers(clustering) == [0, 1]


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_than_allowed(most: int) -> None:
    clustering = online(SpeakerBounds(1, most))
    for voices in ([A], [A, B], [C, B, A]):
        hear(clustering, *voices)
    assert speakers(clustering) == [0, 1][:most]


def test_the_clearest_come_first() -> None:
    clustering = online(SpeakerBounds(1, 1))
    hear(clustering, A, B, alone=[CLEAR, CLEAR + 5])
    assert speakers(clustering) == [1]


def test_unclear_voices_count_while_speakers_are_missing() -> None:
    clustering = online(SpeakerBounds(2, 2))
    hear(clustering, A, B, C, alone=UNCLEAR)
    assert speakers(clustering) == [0, 1]


@pytest.mark.parametrize("threshold", [-0.1, 2.1, float("nan")])
def test_thresholds_are_cosine_distances(threshold: float) -> None:
    with pytest.raises(ConfigError, match="expected a threshold from 0 to 2"):
        online(threshold=threshold)
