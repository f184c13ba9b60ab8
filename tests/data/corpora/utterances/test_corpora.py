"""Corpora as distributed become data directories; what is missing is told in one line."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
import soundfile

from espnet_prune.bin import prepare_data as command
from espnet_prune.data import format_speech, read_utterance_dir
from espnet_prune.data.corpora.utterances import (
    BARISTA,
    CORPORA,
    LIBRISPEECH,
    SLURP,
    SPEECHOCEAN762,
    prepare,
)
from espnet_prune.data.tables import DataError
from tests.data.corpora.utterances.trees import (
    MAKE,
    make_barista,
    make_librispeech,
    make_slurp,
    make_speechocean762,
    miniature,
)

EGS2 = Path(__file__).parents[4] / "egs2"


def test_published_sizes() -> None:
    """Those of train_960 and of all add up to sums published elsewhere."""
    assert sum(LIBRISPEECH.parts[part] for part in LIBRISPEECH.sets["train_960"]) == 281241
    assert sum(LIBRISPEECH.parts.values()) == 292367
    assert sum(SPEECHOCEAN762.parts.values()) == 5000
    assert sum(BARISTA.parts.values()) == 625
    for corpus in CORPORA.values():
        assert {part for parts in corpus.sets.values() for part in parts} == set(corpus.parts)
        assert set(corpus.default_sets) <= set(corpus.sets)


def test_librispeech(tmp_path: Path) -> None:
    folder = make_librispeech(tmp_path / "LibriSpeech")
    sets = ["train_960", "train_100", "train_clean_100", "dev", "test_clean"]
    sizes = prepare(miniature("librispeech"), folder, tmp_path / "data", sets)
    assert sizes == {
        "train_960": (5, 4), "train_100": (3, 2), "train_clean_100": (3, 2), "dev": (2, 2),
        "test_clean": (2, 1),
    }  # fmt: skip
    data = read_utterance_dir(tmp_path / "data" / "train_960")
    assert data.texts["103-1240-0001"] == "WORDS OF 103-1240-0001"
    assert data.speakers["1034-121119-0000"] == "1034"
    assert data.wavs["100-121669-0000"] == str(
        folder / "train-clean-360/100/121669/100-121669-0000.flac"
    )
    assert format_speech(tmp_path / "data" / "train_960", tmp_path / "dump").kept == 5


def test_parts_that_no_set_needs_may_be_absent(tmp_path: Path) -> None:
    folder = make_librispeech(tmp_path / "LibriSpeech")
    for part in ("train-clean-360", "train-other-500", "test-other"):
        shutil.rmtree(folder / part)
    sets = ["train_100", "dev", "test_clean"]
    assert len(prepare(miniature("librispeech"), folder, tmp_path / "data", sets)) == 3


def test_slurp(tmp_path: Path) -> None:
    folder = make_slurp(tmp_path / "slurp")
    sizes = prepare(miniature("slurp"), folder, tmp_path / "data")
    assert sizes == {"train": (6, 3), "devel": (2, 1), "test": (2, 1)}
    data = read_utterance_dir(tmp_path / "data" / "train")
    assert data.texts == {
        "slurp_FO-460_1502099775": "alarm_set wake me up at eight o'clock",
        "slurp_FO-460_1502099775-headset": "alarm_set wake me up at eight o'clock",
        "slurp_UNK-323_-1504194195": "email_query any mail from bob at mailcom unknown",
        "slurp_UNK-323_-1504194195-headset": "email_query any mail from bob at mailcom unknown",
        "slurp_synthetic_1": "play_music play some hashtag jazz",
        "slurp_synthetic_1-headset": "play_music play some hashtag jazz",
    }
    assert data.wavs["slurp_synthetic_1"] == str(folder / "audio/slurp_synth/audio-1.flac")
    assert data.speakers["slurp_UNK-323_-1504194195"] == "slurp_UNK-323"
    assert prepare(miniature("slurp"), folder, tmp_path / "real", ["train_real"]) == {
        "train_real": (4, 2)
    }


def test_speechocean762(tmp_path: Path) -> None:
    folder = make_speechocean762(tmp_path / "speechocean762")
    sizes = prepare(miniature("speechocean762"), folder, tmp_path / "data")
    assert sizes == {"train": (4, 2), "dev": (2, 1), "test": (4, 2)}
    data = read_utterance_dir(tmp_path / "data" / "dev")
    assert data.texts == {name: f"WORDS OF {name}" for name in ("00050001", "00050002")}
    assert data.wavs["00050001"] == str(folder / "WAVE/SPEAKER0005/00050001.WAV")
    for table, value in {"spk2age": "21", "spk2gender": "f"}.items():
        assert (tmp_path / "data/dev" / table).read_text() == f"0005 {value}\n"
    assert (tmp_path / "data/train/spk2age").read_text() == "0001 6\n0010 30\n"
    assert format_speech(tmp_path / "data" / "train", tmp_path / "dump").kept == 4


def test_orders(tmp_path: Path) -> None:
    folder = make_barista(tmp_path / "barista")
    sizes = prepare(miniature("picovoice_barista"), folder, tmp_path / "data")
    assert sizes == {"train": (2, 2), "dev": (1, 1), "test": (1, 1)}
    assert read_utterance_dir(tmp_path / "data" / "train").texts == {
        "00e0-01": "orderDrink_iced_coffee large light roast iced coffee",
        "85ab-02": "orderDrink_latte latte soy milk",
    }
    test = read_utterance_dir(tmp_path / "data" / "test").texts
    assert test == {"e077-04": "orderDrink_mocha double shot mocha sugar"}


@pytest.mark.parametrize("name", CORPORA)
def test_any_audio_format(name: str, tmp_path: Path) -> None:
    folder = MAKE[name](tmp_path / "corpus")
    before = prepare(miniature(name), folder, tmp_path / "before")
    for path in [path for path in folder.rglob("*") if path.suffix in (".WAV", ".wav", ".flac")]:
        samples, rate = soundfile.read(path)
        soundfile.write(path.with_suffix(".opus"), samples, rate, "OPUS", format="OGG")
        path.unlink()
    assert prepare(miniature(name), folder, tmp_path / "data") == before
    some = next(iter(before))
    kept = format_speech(tmp_path / "data" / some, tmp_path / "dump").kept
    assert kept == before[some].utterances


def test_the_embedded_corpus(tmp_path: Path) -> None:
    """Its counts are those of its README; parts of it are never taken for the whole."""
    corpus = EGS2 / "mini_corpus"
    options = {"allow_incomplete": True}
    assert prepare(SPEECHOCEAN762, corpus / "speechocean762", tmp_path, **options) == {
        "train": (904, 113), "dev": (96, 12), "test": (384, 48)
    }  # fmt: skip
    for name, (boys, children, number) in {"dev": (4, 6, 12), "test": (24, 24, 48)}.items():
        genders, ages = (
            [line.split()[1] for line in (tmp_path / name / table).read_text().splitlines()]
            for table in ("spk2gender", "spk2age")
        )
        assert (genders.count("m"), sum(int(age) < 18 for age in ages)) == (boys, children)
        assert len(genders) == len(ages) == number
    assert prepare(BARISTA, corpus / "picovoice_barista", tmp_path, **options) == {
        "train": (124, 124), "dev": (26, 26), "test": (62, 62)
    }  # fmt: skip
    texts = [read_utterance_dir(tmp_path / name).texts.values() for name in ("train", "test")]
    trained, tested = ({text.split()[0] for text in table} for table in texts)
    assert tested == trained and len(trained) == 10
    libri, sets = corpus / "LibriSpeech", ["train_clean_100", "test_other"]
    assert prepare(LIBRISPEECH, libri, tmp_path, sets, audio_only=True, **options) == {
        "train_clean_100": (37, 28), "test_other": (40, 10)
    }  # fmt: skip
    assert read_utterance_dir(tmp_path / "test_other").texts is None
    assert prepare(LIBRISPEECH, libri, tmp_path, sets[:1], **options) == {
        "train_clean_100": (12, 3)
    }
    assert {path.suffix for path in (corpus / "ami_clips").iterdir()} == {".flac", ".rttm", ".uem"}
    sizes = [path.stat().st_size for path in corpus.rglob("*") if path.is_file()]
    assert sum(sizes) < 28e6
    with pytest.raises(DataError, match="train with 904 of 2260 utterances; dev with"):
        prepare(SPEECHOCEAN762, corpus / "speechocean762", tmp_path)


def test_slurp_lists_a_recording_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = make_slurp(tmp_path / "slurp")
    path = folder / "dataset/slurp/train.jsonl"
    first = path.read_text().splitlines()[0]
    path.write_text(path.read_text() + first.replace("wake", "get") + "\n")
    with caplog.at_level(logging.INFO):
        sizes = prepare(miniature("slurp"), folder, tmp_path / "data", ["train_real"])
    assert sizes["train_real"] == (4, 2) and "left out 2 recording(s)" in caplog.text
    texts = read_utterance_dir(tmp_path / "data/train_real").texts
    assert texts["slurp_FO-460_1502099775"].endswith("wake me up at eight o'clock")


def test_malformed_texts(tmp_path: Path) -> None:
    folder = make_librispeech(tmp_path / "LibriSpeech")
    (folder / "dev-clean/84/121123/84-121123.trans.txt").write_text("84-121123-0000\n")
    with pytest.raises(DataError, match="trans.txt:1: expected <speaker>-<chapter>-<number> and a"):
        prepare(miniature("librispeech"), folder, tmp_path / "data")
    folder = make_slurp(tmp_path / "slurp")
    metadata = folder / "dataset/slurp/metadata.json"
    metadata.write_text(metadata.read_text().replace("audio-1434542201.flac", "audio-0.flac"))
    with pytest.raises(DataError, match="expected the speaker of audio-1434542201.flac, found"):
        prepare(SLURP, folder, tmp_path / "data", allow_incomplete=True)
    metadata.write_text(json.dumps({"0": {}}))
    with pytest.raises(DataError, match="found KeyError: 'recordings'; download it again"):
        prepare(SLURP, folder, tmp_path / "data")
    metadata.write_text("{}")
    labels = make_barista(tmp_path / "barista") / "label/label.json"
    for content in ('{"0a": []}', '{"0a": {"intent": "orderDrink", "slots": {}}}'):
        labels.write_text(content)
        with pytest.raises(DataError, match="intent and slots of each order, coffeeDrink and oth"):
            prepare(BARISTA, labels.parents[1], tmp_path / "data")
    (folder / "dataset/slurp/devel.jsonl").write_text('{"sentence": "lights off"\n')
    with pytest.raises(DataError, match="devel.jsonl:1: expected a sentence with scenario"):
        prepare(SLURP, folder, tmp_path / "data", ["devel"])


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = make_slurp(tmp_path / "slurp")
    options = ["slurp", str(folder), "--output", str(tmp_path / "data"), "--sets"]
    command.main([*options, "train", "train_real"])
    assert "train_real: 4 utterances of 2 speaker(s)" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="expected sets of SLURP, found dev; choose of train,"):
        command.main([*options, "train", "dev"])
    with pytest.raises(SystemExit, match="devel with 2 of 8690 utterances"):
        command.main([*options, "devel"])
