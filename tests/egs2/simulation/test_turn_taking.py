"""Statistics of turn-taking: measured as defined, kept by a file, met by conversations."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from egs2.mini_meeting.diar_prune1.local.simulation import measure as command
from egs2.mini_meeting.diar_prune1.local.simulation import measure_turn_taking, read_turn_taking
from egs2.mini_meeting.diar_prune1.local.simulation.conversation import Conversation
from egs2.mini_meeting.diar_prune1.local.simulation.corpus import MAX_PAUSE
from egs2.mini_meeting.diar_prune1.local.simulation.turn_taking import DISTRIBUTIONS, SHARES
from egs2.mini_meeting.diar_prune1.local.simulation.voice import Clip
from espnet_prune.data import DataError, Region, Turn
from espnet_prune.encoder.typed import ConfigError

EGS2 = Path(__file__).parents[3] / "egs2"
CLIPS = EGS2 / "mini_corpus/ami_clips"
CONF = EGS2 / "mini_meeting/diar_prune1/conf/turn_taking.yaml"


def turns(*rows: tuple[str, float, float]) -> list[Turn]:
    return [Turn("r", start, end - start, speaker) for speaker, start, end in rows]


def test_measures_what_it_says():
    own = turns(("a", 1, 5), ("b", 2, 3), ("b", 4, 8), ("b", 10, 12), ("a", 13, 14), ("a", 20, 21))
    found = measure_turn_taking({"r": own}, {"r": [Region("r", 0, 15)]})
    assert (found.recordings, found.speakers) == (1, 2)
    assert found.silence == pytest.approx(3 / 13, abs=1e-4)
    assert found.overlap == pytest.approx(2 / 10, abs=1e-4)
    assert found.turns_per_minute == pytest.approx(5 * 60 / 13, abs=1e-2)
    assert found.back_channels_per_minute == pytest.approx(60 / 11, abs=1e-2)
    assert (found.same_speaker, found.overlapped) == (pytest.approx(1 / 3, abs=1e-4), 0.5)
    assert (found.turn[0], found.turn[-1]) == (1, 4)
    values = {name: set(getattr(found, name)) for name in list(DISTRIBUTIONS)[1:]}
    expected = {"back_channel": {1}, "pause_same": {2}, "pause_change": {1}, "overlap_change": {1}}
    assert values == expected


def test_turns_outside_the_regions_are_no_turns():
    with pytest.raises(DataError, match="expected turns in the regions, found none"):
        measure_turn_taking({"r": turns(("a", 1, 2))}, {"r": [Region("r", 3, 4)]})


def test_the_recipe_has_the_statistics_of_the_clips(tmp_path, capsys):
    command.main([str(CLIPS), str(CLIPS), "--output", str(tmp_path / "a.yaml")])
    assert read_turn_taking(tmp_path / "a.yaml") == read_turn_taking(CONF)
    assert "| silence (%) |" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line, message",
    [
        ("silence: 1.5", "silence: expected 0 to 1"),
        ("turn: [2, 1]", "turn: expected ascending quantiles"),
        ("pause_same: []", "pause_same: expected quantiles in seconds, found none"),
        ("loud: 1", "loud"),
    ],
)
def test_other_files_are_refused(tmp_path, line, message):
    (tmp_path / "a.yaml").write_text(CONF.read_text() + line + "\n")
    with pytest.raises(ConfigError, match=message):
        read_turn_taking(tmp_path / "a.yaml")


class Speaker:
    """Says what it is asked for, without a sound."""

    def __init__(self, name: str):
        self.name = name

    def say(self, frames: int) -> Clip:
        return Clip(np.zeros(0), 0, frames)


def talk(seed: int, manner, seconds: float, speakers: int = 3):
    voices = [Speaker(str(index)) for index in range(speakers)]
    return Conversation(np.random.default_rng(seed), voices, manner).hold(round(100 * seconds))


def test_conversations_come_near_to_the_statistics():
    target = read_turn_taking(CONF)
    said = {str(seed): talk(seed, target, 120, 2 + seed % 3) for seed in range(60)}
    own = {
        name: [Turn(name, t.start / 100, t.clip.length / 100, t.voice.name) for t in spoken]
        for name, spoken in said.items()
    }
    found = measure_turn_taking(own, {name: [Region(name, 0, 200)] for name in own})
    for name in SHARES:
        assert getattr(found, name) == pytest.approx(getattr(target, name), abs=0.05), name
    assert found.turns_per_minute == pytest.approx(target.turns_per_minute, rel=0.15)
    for name in DISTRIBUTIONS:
        # Speakers who are still busy cannot join in.
        assert found.quantile(name, 0.5) == pytest.approx(target.quantile(name, 0.5), abs=0.3), name
        assert found.quantile(name, 0.9) == pytest.approx(target.quantile(name, 0.9), rel=0.3), name


@pytest.mark.parametrize("speakers", [2, 4])
def test_everyone_speaks_and_turns_of_a_speaker_stay_apart(speakers):
    manner = replace(read_turn_taking(CONF), same_speaker=0.9)
    for seed in range(30):
        spoken = talk(seed, manner, 14, speakers)
        assert len({turn.voice.name for turn in spoken}) == speakers
        assert spoken == sorted(spoken, key=lambda turn: turn.start)
        for name in map(str, range(speakers)):
            own = [turn for turn in spoken if turn.voice.name == name]
            gaps = [b.start - a.end for a, b in pairwise(own)]
            assert all(gap > MAX_PAUSE for gap in gaps)
