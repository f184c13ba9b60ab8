"""What a teacher's cache gives is what was computed, or it says why not."""

from __future__ import annotations

import os

import pytest
import torch

pytest.importorskip("espnet2")

from espnet_prune.bin import asr_train, distill_train
from espnet_prune.distillation import LayerwiseDistillation
from espnet_prune.encoder import SSLEncoder
from espnet_prune.encoder.config import ConfigError
from espnet_prune.espnet.distillation_task import ESPnetDistillationModel
from espnet_prune.espnet.teacher import Teacher, TeacherCache
from espnet_prune.report.history import read_history
from tests.encoders import random_encoder, tiny_config
from tests.espnet.speech_corpus import training_options, write_corpus, write_tokens
from tests.espnet.test_crops import command, utterances  # noqa: F401
from tests.espnet.test_training import Killed, distillation, weights

LAYERS, IDS = (0, 2), ("one", "two/2", "three")
WAVS = torch.randn(3, 4000, generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([4000, 3000, 1234])


def teacher(folder=None, precision="float32", seed=2, layers=LAYERS):
    cache = TeacherCache(folder, layers) if folder else None
    return Teacher(random_encoder(tiny_config(), seed), precision, cache)


def chosen(states, layers=LAYERS):
    return [states[layer] for layer in layers]


def files(folder):
    return sorted(folder.rglob("*.safetensors"))


def assert_equal(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype and torch.equal(one, other)


@pytest.fixture
def mute(monkeypatch):
    """From when it is called on, no encoder computes anything."""

    def forward(*_):
        raise AssertionError("computed")

    return lambda: monkeypatch.setattr(SSLEncoder, "forward", forward)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_cached_is_computed(tmp_path, mute, precision):
    computed = chosen(teacher(None, precision)(WAVS, LENGTHS))
    assert_equal(chosen(teacher(tmp_path, precision)(WAVS, LENGTHS, IDS)), computed)
    assert len(files(tmp_path)) == 3
    mute()
    assert_equal(chosen(teacher(tmp_path, precision)(WAVS, LENGTHS, IDS)), computed)


def test_another_batch_reads_the_same(tmp_path, mute):
    """Without the longest, with room behind them, or one by one without lengths."""
    first = chosen(teacher(tmp_path)(WAVS, LENGTHS, IDS))
    parts = [([2, 1], 3000), ([1, 2], 4000)]
    expected = [chosen(teacher()(WAVS[rows, :size], LENGTHS[rows])) for rows, size in parts]
    alone = chosen(teacher()(WAVS[1:2, :3000], None))
    mute()
    cached = teacher(tmp_path)
    frames = random_encoder(tiny_config(), 2).config.num_frames(3000)
    for (rows, size), states in zip(parts, expected, strict=True):
        found = chosen(cached(WAVS[rows, :size], LENGTHS[rows], [IDS[row] for row in rows]))
        torch.testing.assert_close(found, states)
        place = rows.index(1)
        for ours, theirs in zip(found, first, strict=True):
            assert torch.equal(ours[place, :frames], theirs[1, :frames])
            assert not ours[place, frames:].any()
    torch.testing.assert_close(chosen(cached(WAVS[1:2, :3000], None, IDS[1:2])), alone)


def test_the_gradients_are_the_same(tmp_path):
    student = random_encoder(tiny_config(), 1)
    results = []
    for cache in (None, TeacherCache(tmp_path, LAYERS), TeacherCache(tmp_path, LAYERS)):
        loss = LayerwiseDistillation(LAYERS)
        source = random_encoder(tiny_config(), 2)
        model = ESPnetDistillationModel(student, source, loss, None, "float32", cache).eval()
        student.zero_grad()
        model(WAVS, LENGTHS, utt_id=IDS)[0].backward()
        learning = (each.grad for each in student.parameters() if each.grad is not None)
        results.append([gradient.clone() for gradient in learning])
    assert results[0]
    assert_equal(results[0], results[1])
    assert_equal(results[0], results[2])


@pytest.mark.parametrize(
    "changes, samples",
    [
        ({"seed": 3}, 4000),
        ({"precision": "int8"}, 4000),
        ({"layers": (0, 2, 3)}, 4000),
        ({}, 3999),
    ],
)
def test_what_differs_has_files_of_its_own(tmp_path, changes, samples):
    teacher(tmp_path)(WAVS[:1], None, IDS[:1])
    wavs, layers = WAVS[:1, :samples], changes.get("layers", LAYERS)
    found = chosen(teacher(tmp_path, **changes)(wavs, None, IDS[:1]), layers)
    assert_equal(found, chosen(teacher(None, **changes)(wavs, None), layers))
    assert len(files(tmp_path)) == 2


def test_a_teacher_whose_weights_changed_is_another(tmp_path):
    encoder = random_encoder(tiny_config(), 2)
    ours = Teacher(encoder, "float32", TeacherCache(tmp_path, LAYERS))
    ours(WAVS, LENGTHS, IDS)
    with torch.no_grad():
        next(encoder.parameters())[0] += 1
    found = chosen(ours.float()(WAVS, LENGTHS, IDS))
    assert_equal(found, chosen(Teacher(encoder)(WAVS, LENGTHS)))
    assert len(files(tmp_path)) == 6


@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign", "a bit"])
def test_what_is_damaged_is_computed_again(tmp_path, mute, caplog, damage):
    computed = chosen(teacher(tmp_path)(WAVS, LENGTHS, IDS))
    path = files(tmp_path)[1]
    whole = path.read_bytes()
    other = {"truncated": whole[:-100], "empty": b"", "foreign": b"<html>", "a bit": whole}[damage]
    path.write_bytes(other if damage != "a bit" else whole[:-1] + bytes([whole[-1] ^ 1]))
    assert_equal(chosen(teacher(tmp_path)(WAVS, LENGTHS, IDS)), computed)
    assert "computing again what is damaged" in caplog.text and str(path) in caplog.text
    assert path.read_bytes() == whole
    mute()
    assert_equal(chosen(teacher(tmp_path)(WAVS, LENGTHS, IDS)), computed)


def test_a_killed_write_leaves_nothing_to_read(tmp_path, monkeypatch):
    def die(*_):
        raise Killed

    computed = chosen(teacher()(WAVS, LENGTHS))
    monkeypatch.setattr(os, "replace", die)
    monkeypatch.setattr(os, "unlink", lambda _: None)  # who is killed does not clean up
    with pytest.raises(Killed):
        teacher(tmp_path)(WAVS, LENGTHS, IDS)
    monkeypatch.undo()
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) == 1 and not files(tmp_path)
    assert_equal(chosen(teacher(tmp_path)(WAVS, LENGTHS, IDS)), computed)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == files(tmp_path)


def test_what_cannot_be_cached_is_refused(tmp_path):
    ours = teacher(tmp_path)
    with pytest.raises(ConfigError, match="expected the utt_id of each of 3 .*, found none; leave"):
        ours(WAVS, LENGTHS)
    with pytest.raises(ConfigError, match="found 2; leave"):
        ours(WAVS, LENGTHS, IDS[:2])
    ours(WAVS, LENGTHS, IDS)
    with pytest.raises(ConfigError, match="expected the audio of one as it was .*, found other"):
        ours(WAVS + 0.1, LENGTHS, IDS)
    padded = WAVS.clone()
    padded[1, 3000:] = 7.0  # behind the end is nobody's audio
    ours(padded, LENGTHS, IDS)


@pytest.mark.parametrize(
    "more, found",
    [
        (["--crop", "true"], "crop True"),
        (["--crop", "false", "--iterator_type", "chunk"], "iterator_type chunk"),
    ],
)
def test_audio_that_changes_is_refused_at_once(tmp_path, command, more, found):  # noqa: F811
    with pytest.raises(SystemExit, match=f"same in every epoch, found {found}; leave"):
        distill_train.main(command(tmp_path / "exp", "--teacher_cache", tmp_path, *more))
    assert not files(tmp_path)


def test_a_training_is_the_same_and_computes_once(tmp_path, options, teacher_folder, monkeypatch):
    task = [*distillation(teacher_folder, target=0.3, warmup_steps=4), "--max_epoch", "2"]
    calls, write = [], TeacherCache._write
    monkeypatch.setattr(TeacherCache, "_write", lambda *args: calls.append(1) or write(*args))
    for name, more in (("plain", []), ("cached", ["--teacher_cache", str(tmp_path / "cache")])):
        distill_train.main(options(tmp_path / name, labels=False) + task + more)
    assert len(calls) == len(files(tmp_path / "cache")) == 10  # windows, which validation shares
    plain, cached = (read_history(tmp_path / n / "checkpoint.pth") for n in ("plain", "cached"))
    for split in ("train", "valid"):
        ours, theirs = (each.curve(split, "loss_distill")[1] for each in (plain, cached))
        assert ours == pytest.approx(theirs, rel=1e-5)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("speech"))


@pytest.fixture
def speech(corpus, tmp_path, encoder_folder, teacher_folder):
    """The options of a recognizer's training called ``name`` beside a teacher."""
    tokens = write_tokens(tmp_path, "word")
    task = [*tokens, "--distill_conf", "{layers: [0, 3]}", "--teacher", str(teacher_folder)]
    return lambda name, *more: [
        *training_options(corpus, tmp_path / name, encoder_folder), *task, *map(str, more)
    ]  # fmt: skip


def test_beside_a_task(tmp_path, speech):
    asr_train.main(speech("plain"))
    cache = ["--teacher_cache", tmp_path / "cache"]
    asr_train.main(speech("cold", *cache))
    assert len(files(tmp_path / "cache")) == 8
    asr_train.main(speech("warm", *cache))
    for name in ("cold", "warm"):
        ours, theirs = weights(tmp_path / "plain"), weights(tmp_path / name)
        torch.testing.assert_close(dict(ours), dict(theirs), rtol=1e-4, atol=1e-5)
    asr_train.main(speech("warm", *cache, "--max_epoch", "3"))
    asr_train.main(speech("warm", "--max_epoch", "4"))  # a full disk is no reason to start anew


@pytest.mark.parametrize(
    "more, message",
    [
        (["--rir_scp", "rir.scp"], "found rir_scp 'rir.scp'"),
        (["--noise_scp", "noise.scp"], "found noise_scp 'noise.scp'"),
    ],
)
def test_augmentation_beside_a_task_is_refused(tmp_path, speech, more, message):
    (tmp_path / "any.scp").write_text("")
    with pytest.raises(SystemExit, match=message):
        asr_train.main(speech("exp", "--teacher_cache", tmp_path / "cache", *more))


def test_a_cache_needs_a_teacher(tmp_path, speech):
    options = speech("exp", "--teacher_cache", tmp_path / "cache")
    for name in ("--teacher", "--distill_conf"):
        place = options.index(name)
        del options[place : place + 2]
    with pytest.raises(SystemExit, match="expected teacher beside teacher_cache, found none"):
        asr_train.main(options)
