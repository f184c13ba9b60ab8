"""What is missing or does not fit together is told in one line, and nothing is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from espnet_prune.data import read_utterance_dir
from espnet_prune.data.corpora.utterances import CORPORA, SPEECHOCEAN762, prepare
from espnet_prune.data.tables import DataError
from tests.data.corpora.utterances.trees import (
    MAKE,
    make_librispeech,
    make_speechocean762,
    miniature,
)


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


def lose_wave(tree: Path) -> None:
    shutil.rmtree(tree / "WAVE/SPEAKER0024")


def lose_table(tree: Path) -> None:
    (tree / "test/text").unlink()


def lose_order(tree: Path) -> None:
    (tree / "speech/clean/e077-04.wav").unlink()


@pytest.mark.parametrize(
    "name, spoil, message, rest",
    [
        ("librispeech", lose_part, r"found train-clean-100 with 0 of 3 utterances, 1 missing, the "
         r"first \S+/train-clean-100; get the rest, see https://www", ["dev", "test_clean"]),
        ("librispeech", lose_chapter, "found test-clean with 0 of 2 utterances; get", ["dev"]),
        ("librispeech", lose_flac, r"dev-other with 0 of 1 utterances, 1 missing, the first "
         r"\S+-0000.flac; get", ["train_100", "dev"]),
        ("speechocean762", lose_wave, r"found test with 2 of 4 utterances, 2 missing, the first "
         r"\S+/00240001.WAV; get", None),
        ("speechocean762", lose_table, r"test with 0 of 4 utterances, 1 missing, the first \S+/"
         "test/text; get", ["train", "dev"]),
        ("slurp", lose_list, r"devel with 0 of 2 \S+ 1 missing, the first \S+devel.jsonl; get the "
         r"rest, see https://github.com/\S+slurp", ["train", "test"]),
        ("slurp", lose_synthetic, r"train_synthetic with 0 of 2 utterances, 2 missing, the first "
         r"\S+/audio/slurp_synth/audio-1.flac", None),
        ("slurp", lose_recording, r"with 1 of 2 utterances, 1 missing, the \S+ \S+.flac", None),
        ("picovoice_barista", lose_order, r"test with 0 of 1 utterances, 1 missing, the first "
         r"\S+/e077-04.wav", ["train", "dev"]),
    ],
)  # fmt: skip
def test_an_incomplete_corpus(
    name: str,
    spoil: Callable[[Path], None],
    message: str,
    rest: list[str] | None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = MAKE[name](tmp_path / "corpus")
    spoil(folder)
    with pytest.raises(DataError, match=message) as caught:
        prepare(miniature(name), folder, tmp_path / "data")
    assert "--allow_incomplete" in str(caught.value) and "\n" not in str(caught.value)
    if rest:
        with pytest.raises(DataError, match=r"of every set in \S+, found none of .*; name the oth"):
            prepare(miniature(name), folder, tmp_path / "data", allow_incomplete=True)
    assert not (tmp_path / "data").exists()
    assert prepare(miniature(name), folder, tmp_path / "data", rest, allow_incomplete=True)
    assert "incomplete: " in caplog.text


def test_audio_without_texts(tmp_path: Path) -> None:
    folder = make_librispeech(tmp_path / "LibriSpeech")
    (folder / "test-clean/61/70968/61-70968.trans.txt").unlink()
    sets = ["test_clean", "dev"]
    with pytest.raises(DataError, match=r"2 missing, the first the text of \S+/61-70968-0000.flac"):
        prepare(miniature("librispeech"), folder, tmp_path / "data", sets)
    sizes = prepare(miniature("librispeech"), folder, tmp_path / "data", sets, audio_only=True)
    assert sizes == {"test_clean": (2, 1), "dev": (2, 2)}
    assert read_utterance_dir(tmp_path / "data/dev").texts is None


def test_speakers_of_a_part(tmp_path: Path) -> None:
    folder = make_speechocean762(tmp_path / "corpus")
    shutil.copytree(folder / "train", tmp_path / "train")
    shutil.rmtree(folder / "train")
    shutil.copytree(folder / "test", folder / "train")
    corpus = replace(SPEECHOCEAN762, parts=dict.fromkeys(SPEECHOCEAN762.parts))
    with pytest.raises(DataError, match=r"found speaker 0024 in train and in test in \S+; unpack"):
        prepare(corpus, folder, tmp_path / "data")
    for table in ("wav.scp", "utt2spk", "text"):
        rows = (tmp_path / "train" / table).read_text().splitlines()
        (folder / "train" / table).write_text("\n".join(rows[:2]) + "\n")
    with pytest.raises(DataError, match="several speakers of speechocean762, found only 0001"):
        prepare(corpus, folder, tmp_path / "data", ["train"])
    (folder / "train/text").write_text("x1 WORDS\nx2 WORDS\n")
    with pytest.raises(
        DataError, match="of the audio, as 00010001, found none of 2 but others"
    ) as caught:
        prepare(corpus, folder, tmp_path / "data")
    assert len(caught.value.args) == 1 and not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", CORPORA)
def test_a_wrong_folder_is_never_a_part(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no utterance; the folder has to hold"):
        prepare(CORPORA[name], tmp_path, tmp_path / "data", allow_incomplete=True)
