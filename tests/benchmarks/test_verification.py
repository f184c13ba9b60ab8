"""Equal error rates: brute force, groups, intervals, and the command on generated voices."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
import soundfile
import torch

from benchmarks import score_embedding
from benchmarks.verification import (
    Crop,
    choose_crops,
    compare_pairs,
    embed_crops,
    equal_error_rate,
    rate_interval,
)
from espnet_prune.data import DataError
from espnet_prune.diarization.embedding.pooling import PooledStates
from espnet_prune.diarization.embedding.utterances import UtteranceEmbedder, read_samples
from tests.encoders import random_encoder, tiny_config

VOICES = {"a": ("f", 30), "b": ("f", 31), "c": ("m", 40), "d": ("m", 7)}


def noisy_voices(speakers: int, noise: float, each: int = 4):
    generator = np.random.default_rng(0)
    crops = [Crop("", f"s{i // each}", (i // each % 2,)) for i in range(speakers * each)]
    centres = generator.standard_normal((speakers, 8))
    found = centres.repeat(each, 0) + noise * generator.standard_normal((len(crops), 8))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32), crops


def test_pairs_and_rate_by_brute_force():
    embeddings, crops = noisy_voices(12, 0.8)
    every, grouped = compare_pairs(embeddings, crops)
    for pairs, alike in ((every, False), (grouped, True)):
        same, other = [], []
        for i, j in combinations(range(len(crops)), 2):
            if not alike or crops[i].group == crops[j].group:
                kind = same if crops[i].speaker == crops[j].speaker else other
                kind.append(float(embeddings[i] @ embeddings[j]))
        assert (pairs.same.sum(), (~pairs.same).sum()) == (len(same), len(other))
        rates = [
            (np.mean(np.array(other) >= limit), np.mean(np.array(same) < limit))
            for limit in sorted(same + other)
        ]
        expected = np.mean(min(rates, key=lambda pair: abs(pair[0] - pair[1])))
        assert equal_error_rate(pairs) == pytest.approx(expected, abs=5e-3) and expected > 0.05


def test_voices_that_are_told_apart_and_chance():
    rates = {}
    for noise in (0.01, 100.0):
        pairs, _ = compare_pairs(*noisy_voices(30, noise))
        low, high = rate_interval(pairs, 40, 0)
        rates[noise] = equal_error_rate(pairs)
        assert low <= rates[noise] <= high
    assert rates[0.01] == 0 and 0.4 < rates[100.0] < 0.6


def test_a_speaker_drawn_twice_counts_twice():
    pairs, _ = compare_pairs(*noisy_voices(6, 0.8))
    times = np.array([2, 1, 1, 1, 1, 1])
    weights = times[pairs.first] * np.where(pairs.same, 1, times[pairs.second])
    twice = np.repeat(np.arange(len(pairs.scores)), weights)
    repeated = type(pairs)(pairs.scores[twice], pairs.first[twice], pairs.second[twice])
    assert equal_error_rate(pairs, weights) == pytest.approx(equal_error_rate(repeated))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Buzzing voices, each with a spectrum of its own; the last utterance of each is short."""
    folder = tmp_path_factory.mktemp("voices")
    generator = np.random.default_rng(0)
    tables: dict[str, list[str]] = {"wav.scp": [], "utt2spk": []}
    for number, speaker in enumerate(VOICES):
        colour = generator.standard_normal(40)
        for index in range(4):
            noise = generator.standard_normal(4800 if index == 3 else 9600)
            key, path = f"{speaker}{index}", folder / f"{speaker}{index}.wav"
            soundfile.write(path, 0.05 * np.convolve(noise, colour, "same") / (1 + number), 16000)
            tables["wav.scp"].append(f"{key} {path}\n")
            tables["utt2spk"].append(f"{key} {speaker}\n")
    tables["spk2gender"] = [f"{speaker} {sex}\n" for speaker, (sex, _) in VOICES.items()]
    tables["spk2age"] = [f"{speaker} {age}\n" for speaker, (_, age) in VOICES.items()]
    for name, lines in tables.items():
        (folder / name).write_text("".join(lines))
    return folder


def test_which_crops(data):
    crops = choose_crops(data, 0.5, 2, seed=0)
    assert [crop.speaker for crop in crops] == list("aabbccdd")
    assert len({crop.audio for crop in crops}) == 8
    assert not any(crop.audio.endswith("3.wav") for crop in crops)
    assert [crop.group for crop in crops[::2]] == [("f", False)] * 2 + [("m", False), ("m", True)]
    assert choose_crops(data, 0.5, 2, 0) == crops != choose_crops(data, 0.5, 2, 1)
    assert len(choose_crops(data, 0.3, 9, 0)) == 16
    with pytest.raises(DataError, match="expected two utterances of 9 s or more"):
        choose_crops(data, 9.0, 5, 0)


def test_a_crop_is_heard_in_its_utterance(data):
    encoder = random_encoder(tiny_config(), 0)
    crops = choose_crops(data, 0.3, 9, 0)
    found = embed_crops(UtteranceEmbedder(PooledStates(2), encoder), crops, 0.3)
    for crop, embedding in zip(crops[:4], found[:4], strict=True):
        samples = read_samples(crop.audio)
        with torch.no_grad():
            states = encoder(samples[None]).hidden_states[2][0]
        first, hop = (len(samples) - 4800) // 2, encoder.config.hop
        frames = states[first // hop : (first + 4800) // hop]
        expected = torch.cat([frames.mean(0), frames.std(0, correction=0)])
        np.testing.assert_allclose(embedding, expected / expected.norm(), atol=1e-4)


def test_the_command(data, tmp_path, capsys):
    random_encoder(tiny_config(), 0).save_pretrained(tmp_path / "encoder")
    (tmp_path / "decode.yaml").write_text("embedding: mel\nembedding_layer: 1\n")
    command = [str(tmp_path / "encoder"), str(data), "--seconds", "0.5"]
    command += ["--config", str(tmp_path / "decode.yaml")]
    score_embedding.main([*command, "--bootstrap", "20", "--json"])
    found = json.loads(capsys.readouterr().out)["mel"]
    assert found["size"] == 160 and found["all"]["same"] == 12 and found["all"]["other"] == 54
    assert found["one group"]["other"] == 9 and found["all"]["eer"] == 0.0
    assert found["all"]["low"] <= found["all"]["eer"] <= found["all"]["high"]
    score_embedding.main([*command, "--embedding", "ssl", "mel"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and "12 same and 54 other of all" in lines[0] and "0.00" in lines[3]
    for wrong, message in (
        (["--embedding", "head"], "expected a folder, .*embedding|no such|found none"),
        (["--seconds", "100"], "expected two utterances of 100 s"),
    ):
        with pytest.raises(SystemExit, match=f"score_embedding: .*({message})") as end:
            score_embedding.main([*command, *wrong])
        assert end.value.code == 2
