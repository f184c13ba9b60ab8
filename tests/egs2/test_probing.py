"""Probes find what is there and nothing else; rival students have the pruned encoder's size."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import torch

pytest.importorskip("espnet2")

from egs2.TEMPLATE.ssl_prune1.probing import make_student, probe_encoder, probe_report
from egs2.TEMPLATE.ssl_prune1.probing.classifier import Probe, mean_states, run_probe
from egs2.TEMPLATE.ssl_prune1.probing.recognizer import train_recognizer
from egs2.TEMPLATE.ssl_prune1.probing.students import random_student, uniform_student
from espnet_prune.data import DataError
from espnet_prune.encoder import SSLEncoder, open_masks
from espnet_prune.pruning import apply, count_params
from tests.encoders import mini_config, random_encoder, tiny_config

PITCHES = {"low": 200.0, "middle": 900.0, "high": 3000.0}


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """Thirty noisy tones: `pitch` is their label, `chance` another one that they do not tell."""
    folder = tmp_path_factory.mktemp("tones")
    generator = np.random.default_rng(0)
    lines = {"wav.scp": [], "utt2spk": [], "text": [], "pitch": [], "chance": []}
    for index in range(30):
        label = list(PITCHES)[index % 3]
        time = np.arange(4000) / 16000
        samples = 0.3 * np.sin(2 * np.pi * PITCHES[label] * time + index)
        samples += 0.02 * generator.standard_normal(len(time))
        soundfile.write(folder / f"u{index:02}.wav", samples, 16000)
        lines["wav.scp"].append(f"u{index:02} {folder}/u{index:02}.wav\n")
        lines["utt2spk"].append(f"u{index:02} s{index // 3}\n")
        lines["text"].append(f"u{index:02} {label} tone\n")
        lines["pitch"].append(f"u{index:02} {label} more words\n")
        lines["chance"].append(f"u{index:02} {generator.integers(3)}\n")
    for name, rows in lines.items():
        (folder / name).write_text("".join(rows))
    return folder


@pytest.fixture(scope="module")
def encoders():
    return {"dense": random_encoder(tiny_config(), 0)}


def test_a_probe_finds_what_is_there(tones, encoders):
    found = run_probe(Probe("pitch", "pitch", tones), encoders)["dense"]
    assert found.total == 30 and found.classes == 3 and found.accuracy > 0.9
    assert run_probe(Probe("pitch", "pitch", tones), encoders)["dense"] == found
    chance = run_probe(Probe("chance", "chance", tones), encoders)["dense"]
    assert chance.accuracy < 0.7
    # Trained and tested on the same utterances, it knows them all.
    itself = run_probe(Probe("pitch", "pitch", tones, tones), encoders)["dense"]
    assert itself.accuracy == 1.0 and itself.interval == (1.0, 1.0)
    assert found.interval.low <= found.accuracy <= found.interval.high


def test_characters_are_recognised_and_counted(tones, encoders):
    generator = torch.Generator().manual_seed(0)
    codes, symbols = torch.randn(4, 64, generator=generator), " abc"
    states, texts = [], []
    for _ in range(300):
        text = torch.randperm(4, generator=generator)
        frames = codes[text.repeat_interleave(3)]
        states.append(frames + 0.1 * torch.randn(frames.shape, generator=generator))
        texts.append("".join(symbols[number] for number in text))
    recognise = train_recognizer(states[:-10], texts[:-10], symbols, seed=0)
    assert [recognise(each) for each in states[-10:]] == texts[-10:]
    score = run_probe(Probe("recognition", "characters", tones, tones), encoders)["dense"]
    assert score.total == 10 * len("low tonemiddle tonehigh tone") and score.correct <= score.total
    with pytest.raises(DataError, match="a second folder to recognise"):
        run_probe(Probe("recognition", "characters", tones), encoders)


@torch.no_grad()
def test_states_are_means_over_frames(tones, encoders):
    encoder = encoders["dense"]
    path = str(tones / "u00.wav")
    wav = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    states = encoder(wav[None]).hidden_states
    expected = torch.cat([state[0].mean(0) for state in states]).numpy()
    np.testing.assert_allclose(mean_states(encoder, [path])[0], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "rows, message",
    [
        ("u00 a\n", "the same utterances in wav.scp and labels"),
        ("".join(f"u{i:02} a\n" for i in range(30)), "expected two labels, found"),
        ("".join(f"u{i:02} {'ab'[i < 2]}\n" for i in range(30)), "found fewer of"),
        ("".join(f"u{i:02}\n" for i in range(30)), "expected a label after the utterance"),
    ],
)
def test_wrong_labels_are_explained(tones, encoders, tmp_path, rows, message):
    for name in ("wav.scp", "utt2spk"):
        (tmp_path / name).write_text((tones / name).read_text())
    (tmp_path / "labels").write_text(rows)
    with pytest.raises(DataError, match=message):
        run_probe(Probe("x", "labels", tmp_path), encoders)


def test_labels_of_the_test_alone_are_refused(tones, encoders, tmp_path):
    for name in ("wav.scp", "utt2spk"):
        (tmp_path / name).write_text((tones / name).read_text())
    (tmp_path / "pitch").write_text((tones / "pitch").read_text().replace("low", "lower"))
    with pytest.raises(DataError, match="found \\['lower'\\]"):
        run_probe(Probe("pitch", "pitch", tones, tmp_path), encoders)


def test_random_student_has_the_shape_and_nothing_else():
    shape = tiny_config()
    encoder = random_encoder(shape, 0)
    before = torch.random.get_rng_state()
    students = [random_student(shape, seed) for seed in (0, 0, 1)]
    assert torch.equal(before, torch.random.get_rng_state())
    weights = [next(s.layers.parameters()) for s in (*students, encoder)]
    assert all(student.config == shape for student in students)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2]) and not torch.equal(weights[0], weights[3])


@torch.no_grad()
def test_uniform_student_is_the_teachers_first_units():
    torch.manual_seed(0)
    teacher = SSLEncoder(mini_config()).eval()
    wanted = count_params(teacher.config).total // 4
    student = uniform_student(teacher, wanted)
    size = sum(parameter.numel() for parameter in student.parameters())
    assert abs(size / wanted - 1) < 0.02
    (channels,) = {layer.channels for layer in student.config.conv_layers}
    ((heads, ffn),) = {(layer.heads, layer.ffn) for layer in student.config.layers}
    assert heads == tuple(range(len(heads)))
    masks = open_masks(teacher.config)
    for kind, count in (("conv", channels), ("head", len(heads)), ("ffn", ffn)):
        for mask in getattr(masks, kind):
            mask[count:] = 0
    config, state = apply(teacher.config, teacher.state_dict(), masks)
    assert config == student.config
    assert all(torch.equal(state[name], value) for name, value in student.state_dict().items())
    with pytest.raises(ValueError, match="are the nearest"):
        uniform_student(teacher, 10 * wanted)


def test_commands(tones, encoders, tmp_path, capsys):
    encoders["dense"].save_pretrained(tmp_path / "dense")
    teacher = random_encoder(tiny_config(layers=tiny_config().layers[:1] * 3), 1)
    teacher.save_pretrained(tmp_path / "teacher")
    for kind in ("random", "uniform"):
        words = [kind, f"{tmp_path}/dense", f"{tmp_path}/teacher", "--output", f"{tmp_path}/{kind}"]
        make_student.main(words)
        assert f"{kind} student of" in capsys.readouterr().out
    named = [f"{name}={tmp_path}/{name}" for name in ("dense", "random", "uniform")]
    results = []
    for seed in (0, 1):
        path = tmp_path / f"{seed}.json"
        probe = ["--probe", "pitch", "pitch", str(tones), "--seed", str(seed)]
        probe_encoder.main([*named, *probe, "--output", str(path)])
        results.append(json.loads(path.read_text()))
    assert results[0]["probes"]["pitch"]["utterances"] == 30
    files = [str(tmp_path / f"{seed}.json") for seed in (0, 1)]
    probe_report.main([*files, "--output", str(tmp_path / "RESULTS.md")])
    report = (tmp_path / "RESULTS.md").read_text()
    values = [100 * r["probes"]["pitch"]["accuracy"]["random"] for r in results]
    assert f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f} |" in report
    assert "- Seeds: 0, 1" in report and "3 classes" in report


def test_wrong_commands_are_explained(tones, tmp_path):
    output = ["--output", str(tmp_path / "x.json")]
    with pytest.raises(SystemExit, match="expected NAME=ENCODER, found 'dense'"):
        probe_encoder.main(["dense", "--probe", "a", "pitch", str(tones), *output])
    with pytest.raises(SystemExit, match="expected --probe NAME LABELS TRAIN"):
        probe_encoder.main(["a=dense", "--probe", "a", "pitch", *output])
    (tmp_path / "y.json").write_text("{}")
    with pytest.raises(SystemExit, match="expected the output of probe_encoder"):
        probe_report.main([str(tmp_path / "y.json")])
