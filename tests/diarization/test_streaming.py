"""A recording that goes on, on a model whose outputs the audio dictates."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from espnet_prune import Diarizer
from espnet_prune.bin.diarize_stream import get_parser
from espnet_prune.data import DataError, Turn
from espnet_prune.diarization.pipeline import InferenceConfig
from espnet_prune.diarization.streaming import Stream
from espnet_prune.encoder import ConfigError
from tests.diarization.scripted import HOP, SCALE, scripted_model, write_script
from tests.encoders import tiny_config

RATE = 16000
TALK = [(0.3, 1.5, 0), (1.6, 2.6, 1), (2.4, 3.5, 0)]
MEETING = [(0.5, 3.0, 0), (3.2, 5.0, 1), (4.4, 6.8, 2), (7.0, 9.0, 0), (9.0, 11.5, 1)]


def diarizer(**config) -> Diarizer:
    return Diarizer(scripted_model(), InferenceConfig(**{"step": 0.5, **config}))


def script(turns, seconds: float, rate: int = RATE) -> np.ndarray:
    codes = np.zeros(round(seconds * 50), dtype=np.int64)
    for start, end, voice in turns:
        codes[round(start * 50) : round(end * 50)] |= 1 << voice
    return np.repeat(codes / SCALE, rate // 50).astype(np.float32)


def conversation(seed: int, seconds: float = 30.0, voices: int = 4) -> list:
    generator, turns, now = np.random.default_rng(seed), [], 0.3
    while now < seconds - 5:
        end = now + generator.uniform(1.0, 4.0)
        turns.append((now, end, int(generator.integers(voices))))
        now = end + generator.uniform(-0.4, 0.8)
    return turns


def chunks(samples: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (samples[first : first + size] for first in range(0, len(samples), size))


def by_start(turns) -> list[Turn]:
    return sorted(turns, key=lambda turn: (turn.start, turn.speaker))


def begin_of(turn: Turn) -> tuple[float, str]:
    return turn.start, turn.speaker


@pytest.mark.parametrize("delay", [1.0, 2.0])
@pytest.mark.parametrize("seed", range(2))
def test_what_a_stream_tells_is_what_the_recording_is(tmp_path, seed: int, delay: float) -> None:
    turns = conversation(seed)
    path = write_script(tmp_path / "m.wav", turns, 30.0)
    subject = diarizer()
    found = subject.stream(delay=delay).follow(chunks(script(turns, 30.0), 1600))
    assert by_start(found) == subject.diarize(path, "stream")


@pytest.mark.parametrize("delay, step", [(0.5, None), (2.0, 1.9)])
def test_chunks_do_not_matter(delay: float, step: float | None) -> None:
    samples, subject = script(MEETING[:3], 7.1), diarizer()
    whole = list(subject.stream(delay=delay, step=step).follow([samples]))
    assert len({turn.speaker for turn in whole}) == 3
    for size in (160, 12345):
        stream = subject.stream(delay=delay, step=step)
        assert list(stream.follow(chunks(samples, size))) == whole


def test_single_samples() -> None:
    samples, subject = script([(0.2, 1.6, 0)], 2.3), diarizer()
    whole = list(subject.stream(delay=1.0).follow([samples]))
    assert len(whole) == 1 and list(subject.stream(delay=1.0).follow(chunks(samples, 1))) == whole


@pytest.mark.parametrize(
    "rate, delay, step",
    [
        (RATE, 2.0, None),
        (RATE, 0.3775, 0.1),  # which is a step, 17.5 ms and 13 frames: nothing to spare
        (RATE, 0.1175, 0.1),
        (8000, 0.5, 0.3),
        (48000, 2.0, None),
    ],
)
def test_the_delay_is_held_and_what_is_final_stays(rate: int, delay: float, step) -> None:
    edges = np.cumsum([0.3, *(0.4 + 0.02 * (i % 6) for i in range(12))])  # at all places of a step
    turns = [(begin, end, i % 2) for i, (begin, end) in enumerate(pairwise(edges))]
    samples = script(turns, edges[-1] + 0.5, rate)
    stream = diarizer().stream(rate, delay, step)
    told: list[Turn] = []
    known: list[tuple[float, int, list[Turn]]] = []
    for number, chunk in enumerate(chunks(samples, rate // 100), start=1):
        told += stream.push(chunk)
        known.append((number / 100, len(told), stream.current))
    told += stream.finish()
    assert len(told) >= 12 and stream.current == []
    for now, count, current in known:
        over = now - delay
        assert all(turn.end > over for turn in told[count:])
        begun = {begin_of(turn) for turn in told[count:] if turn.start < over}
        assert begun <= {*map(begin_of, current)}
        for turn in current:  # to be told later, with the same begin and speaker
            (later,) = [t for t in told[count:] if begin_of(t) == begin_of(turn)]
            assert turn.end <= later.end


def test_a_stream_holds_a_window() -> None:
    stream = diarizer().stream(delay=2.0, step=1.0)
    part = script(conversation(1, 40.0, voices=3), 40.0)
    held = []
    tracemalloc.start()
    for size in (4000, 4000, len(part), 4000):
        for chunk in chunks(part, size):
            stream.push(chunk)
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # A window of 2 s and a step of 1 s, and less than another second for all else.
    assert max(held) < (2 + 1 + 1) * RATE * 4 < part.nbytes / 9
    assert max(held[1:]) - held[0] < 50_000


def test_streams_of_one_diarizer_do_not_meet() -> None:
    subject = diarizer()
    scripts = [script(TALK, 4.0), script(TALK[1:], 4.0)]
    alone = [list(subject.stream().follow([samples])) for samples in scripts]
    streams, told = [subject.stream() for _ in scripts], [[], []]
    for pair in zip(*(chunks(samples, 5000) for samples in scripts), strict=True):
        for turns, stream, chunk in zip(told, streams, pair, strict=True):
            turns += stream.push(chunk)
    for turns, stream in zip(told, streams, strict=True):
        turns += stream.finish()
    assert told == alone and alone[0] != alone[1]


@pytest.mark.parametrize("make", [torch.from_numpy, np.float64, np.float16, list])
def test_kinds_of_chunks(make) -> None:
    samples, subject = script(TALK, 4.0), diarizer()
    expected = list(subject.stream().follow([samples]))
    assert list(subject.stream().follow([make(samples)])) == expected
    whole = (samples * 2**15).astype(np.int16)
    assert list(subject.stream().follow([whole])) == expected


def test_a_chunk_may_be_written_over() -> None:
    samples, subject = script(TALK, 4.0), diarizer()
    buffer, stream, told = np.zeros(4000, dtype=np.float32), subject.stream(), []
    for chunk in chunks(samples, 4000):
        buffer[:] = chunk
        told += stream.push(buffer)
    assert told + stream.finish() == list(subject.stream().follow([samples]))


@pytest.mark.parametrize(
    "chunk, message",
    [
        (np.array([0.1, np.nan, 0.1]), "expected finite samples, found nan at sample 1"),
        (torch.tensor([np.inf]), "expected finite samples, found inf at sample 0"),
        (np.zeros((160, 2)), r"of one channel, found shape \(160, 2\); mix"),
        (np.float32(0.1), r"found shape \(\)"),
        (np.zeros(3, dtype=np.int32), "or int16, found int32"),
        (np.array(["a"]), "or int16, found <U1"),
        (b"1234", r"found shape \(\)|found"),
    ],
)
def test_a_bad_chunk_is_refused_and_the_stream_goes_on(chunk, message: str) -> None:
    samples, subject = script(TALK, 4.0), diarizer()
    stream = subject.stream()
    told = stream.push(samples[:30000])
    with pytest.raises(DataError, match=message) as caught:
        stream.push(chunk)
    assert "\n" not in str(caught.value)
    told += stream.push(samples[30000:])
    assert told + stream.finish() == list(subject.stream().follow([samples]))


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.1, 1.0, 7.3])
def test_silence_and_nothing(seconds: float) -> None:
    stream = diarizer(min_speakers=2).stream()
    assert stream.push(np.zeros(0)) == stream.push(script([], seconds)) == stream.finish() == []


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.0, 1.98, 2.0, 2.1])
def test_short_recordings(tmp_path, seconds: float) -> None:
    turns = [(0.02, min(0.4, seconds - 0.02), 0)]
    path = write_script(tmp_path / "m.wav", turns, seconds)
    subject = diarizer(median=1)
    found = list(subject.stream().follow([script(turns, seconds)]))
    assert found == subject.diarize(path, "stream") and len(found) == 1


def test_the_end() -> None:
    stream = diarizer().stream(recording="my talk")
    stream.push(script([(0.5, 4.0, 0)], 4.0))
    (turn,) = stream.finish()
    assert turn.recording == "my_talk" and 3.97 < turn.end <= 4.0
    assert stream.finish() == []
    with pytest.raises(DataError, match="found a finished one"):
        stream.push(np.zeros(160))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_there_are_never_more_speakers_than_allowed(number: int, caplog) -> None:
    subject, samples = diarizer(), script(MEETING, 12.0)
    found = list(subject.stream(max_speakers=number).follow([samples]))
    assert len({turn.speaker for turn in found}) == number
    by_config = diarizer(num_speakers=number).stream().follow([samples])
    assert len({turn.speaker for turn in by_config}) == number
    assert not caplog.records
    list(subject.stream(num_speakers=5).follow([samples]))
    assert "expected 5 speakers or more, found 3" in caplog.text


def test_names_come_in_the_order_of_speech_without_gaps() -> None:
    turns = [(1.0 + 3 * i, 3.5 + 3 * i, voice) for i, voice in enumerate((5, 2, 5, 7, 2))]
    told = list(diarizer().stream().follow([script(turns, 18.0)]))
    assert [turn.speaker for turn in told] == ["spk0", "spk1", "spk0", "spk2", "spk1"]


def test_other_frames() -> None:
    model = scripted_model(encoder=tiny_config("whisper"))
    subject = Diarizer(model, InferenceConfig())
    found = list(subject.stream().follow([script(MEETING, 12.0)]))
    assert len(found) == 5 and found[-1].end == pytest.approx(11.5, abs=HOP / RATE)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"delay": 0.03}, "expected a delay of 0.038 s or more at a step of 0.02 s, found 0.03 s"),
        ({"delay": 1.0, "step": 1.0}, "expected a delay of 1.018 s or more at a step of 1 s"),
        ({"delay": float("nan"), "step": 0.5}, "found nan s"),
        ({"delay": float("inf"), "step": 0.5}, "found inf s"),
        ({"step": float("nan")}, "expected a step of .* found nan s"),
        ({"step": 3.0}, "expected a step of 0.02 s, one frame, to the window's 2 s, found 3 s"),
        ({"rate": 0}, "expected a sampling rate of 8000 to 768000 Hz, found 0"),
        ({"rate": 16000.5}, "found 16000.5"),
        ({"threshold": float("nan")}, "expected a threshold from 0 to 2, found nan"),
        ({"num_speakers": 2, "max_speakers": 3}, "leave one out"),
        ({"min_speakers": 0}, "found min_speakers 0"),
    ],
)
def test_bad_options(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        diarizer().stream(**options)


@pytest.mark.parametrize("options", [{"exclusive": True}, {"min_duration": 2.5}])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_told_is_as_of_the_recording(tmp_path, seed: int, options: dict) -> None:
    turns = conversation(seed)
    path = write_script(tmp_path / "m.wav", turns, 30.0)
    subject = diarizer(**options)
    stream, found, shown = subject.stream(delay=1.0), [], set()
    for chunk in chunks(script(turns, 30.0), 1600):
        found += stream.push(chunk)
        shown |= {begin_of(turn) for turn in stream.current}
    found += stream.finish()
    assert by_start(found) == subject.diarize(path, "stream") != diarizer().diarize(path, "stream")
    assert shown <= {begin_of(turn) for turn in found}  # none is taken back


def test_known_voices_give_their_names(tmp_path) -> None:
    path = write_script(tmp_path / "m.wav", MEETING, 12.0)
    plain = diarizer()
    voices = plain.run(path).voices
    known = plain.with_voices({"ann": voices["spk1"], "bob": voices["spk0"]})
    found = list(known.stream(delay=1.0).follow([script(MEETING, 12.0)]))
    assert by_start(found) == known.diarize(path, "stream")
    assert {turn.speaker for turn in found} == {"ann", "bob", "spk0"}


def test_gaps_are_not_filled() -> None:
    with pytest.raises(ConfigError, match="expected no min_gap of a stream, .* found 0.5 s"):
        diarizer(min_gap=0.5).stream()


def test_thresholds_of_other_clusterings() -> None:
    samples = script(MEETING, 12.0)
    subject = diarizer(linkage="centroid", threshold=0.6)
    assert len({turn.speaker for turn in subject.stream().follow([samples])}) == 3
    subject.config = InferenceConfig(clustering="vbx")
    with pytest.raises(ConfigError, match="expected a threshold, .* vbx has none"):
        subject.stream()
    assert isinstance(subject.stream(threshold=0.5), Stream)


PAGE = (Path(__file__).parents[2] / "docs/places/streaming.md").read_text()


def test_the_page_runs(tmp_path, monkeypatch, capsys) -> None:
    subject, samples = diarizer(), script(TALK, 4.0)
    monkeypatch.setattr(Diarizer, "from_pretrained", lambda _: subject)
    (block,) = re.findall(r"^```py\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    exec(block, {"microphone": chunks(samples, 1600)})
    told = capsys.readouterr().out.splitlines()
    stream = subject.stream(max_speakers=4)
    assert [line for line in told if line.startswith("Turn(")] == [
        str(turn) for turn in stream.follow([samples])
    ]
    assert "speaking: ['spk0']" in told
    commands = re.findall(r"\| espnet-prune diarize_stream (.*)", PAGE)
    assert [get_parser().parse_args(each.split()).model for each in commands] == ["exp/pruned"] * 2
