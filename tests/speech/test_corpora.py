"""LibriSpeech and SLURP become data directories; what is missing is told, with what to get."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from espnet_prune.bin import prepare_speech as command
from espnet_prune.diarization.tables import DataError
from espnet_prune.speech import format_speech, read_utterance_dir
from espnet_prune.speech.corpora import CORPORA, LIBRISPEECH, SLURP, SpeechCorpus, prepare
from tests.speech.trees import CHAPTERS, make_librispeech, make_slurp

NUMBERS = {
    "librispeech": {part: sum(chapters.values()) for part, chapters in CHAPTERS.items()},
    "slurp": {"train": None, "train_synthetic": None, "devel": 2, "test": 2},
}
MAKE = {"librispeech": make_librispeech, "slurp": make_slurp}


def miniature(name: str) -> SpeechCorpus:
    """Return a corpus of which the test's tree is complete."""
    return replace(CORPORA[name], parts=NUMBERS[name])


def test_published_sizes() -> None:
    """Those of train_960 and of all add up to sums published elsewhere."""
    assert sum(LIBRISPEECH.parts[part] for part in LIBRISPEECH.sets["train_960"]) == 281241
    assert sum(LIBRISPEECH.parts.values()) == 292367
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


def lose_part(tree: Path) -> None:
    shutil.rmtree(tree / "train-clean-100")


def lose_chapter(tree: Path) -> None:
    shutil.rmtree(tree / "test-clean/61")


def lose_flac(tree: Path) -> None:
    (tree / "dev-other/116/288045/116-288045-0000.flac").unlink()


def lose_list(tree: Path) -> None:
    (tree / "dataset/slurp/devel.jsonl").unlink()


def lose_synthetic(tree: Path) -> None:
    shutil.rmtree(tree / "audio/slurp_synth")


def lose_recording(tree: Path) -> None:
    (tree / "audio/slurp_real/audio-1434542201.flac").unlink()


@pytest.mark.parametrize(
    "name, spoil, message",
    [
        ("librispeech", lose_part, r"folder \S+/train-clean-100, found none; unpack "
         "https://www.openslr.org/resources/12/train-clean-100.tar.gz"),
        ("librispeech", lose_chapter, "test-clean: expected 2 utterances, found 0"),
        ("librispeech", lose_flac, r"dev-other: expected the audio file \S+-0000.flac, found none"),
        ("slurp", lose_list, r"expected \S+devel.jsonl, found none; run `git clone https://git"),
        ("slurp", lose_synthetic, r"train_synthetic: expected \S+, found none; unpack "
         r"https://zenodo.org/record/4274930/files/slurp_synth.tar.gz in \S+/audio"),
        ("slurp", lose_recording, "test: expected 2 utterances, found 1"),
    ],
)  # fmt: skip
def test_an_incomplete_corpus(
    name: str,
    spoil: Callable[[Path], None],
    message: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = MAKE[name](tmp_path / "corpus")
    spoil(folder)
    with pytest.raises(DataError, match=message) as caught:
        prepare(miniature(name), folder, tmp_path / "data")
    assert "--allow_incomplete" in caught.value.args[0]
    assert CORPORA[name].home in caught.value.args[0]
    assert not (tmp_path / "data").exists()
    assert prepare(miniature(name), folder, tmp_path / "data", allow_incomplete=True)
    assert "incomplete: " in caplog.text


@pytest.mark.parametrize("name", CORPORA)
def test_a_wrong_folder_is_never_a_part(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no utterance; the folder has to hold"):
        prepare(CORPORA[name], tmp_path, tmp_path / "data", allow_incomplete=True)


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
    with pytest.raises(SystemExit, match="devel: expected 8690 utterances, found 2"):
        command.main([*options, "devel"])
