"""Data directories of utterances: what is wrong is named, what is written can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet_prune.data import UtteranceDir, read_utterance_dir, write_utterance_dir
from espnet_prune.data.tables import DataError
from tests.data.corpora.utterances.trees import write_audio, write_table

NAMES = ["a-1", "a-2", "b-1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a data directory of three utterances of two speakers."""
    folder = tmp_path / "data"
    wavs = {name: tmp_path / "audio" / f"{name}.wav" for name in NAMES}
    for path in wavs.values():
        write_audio(path)
    write_table(folder / "wav.scp", {name: str(path) for name, path in wavs.items()})
    write_table(folder / "utt2spk", {name: name[0] for name in NAMES})
    write_table(folder / "spk2utt", {"a": "a-1 a-2", "b": "b-1"})
    write_table(folder / "text", {name: f"words  of {name}" for name in NAMES})
    return folder


def test_reading(folder: Path) -> None:
    data = read_utterance_dir(folder)
    assert data.wavs == {n: str(folder.parent / "audio" / f"{n}.wav") for n in NAMES}
    assert data.speakers == {"a-1": "a", "a-2": "a", "b-1": "b"}
    assert data.texts == {name: f"words  of {name}" for name in NAMES}
    for name in ("text", "spk2utt"):
        (folder / name).unlink()
    assert read_utterance_dir(folder).texts is None


def test_writing_sorts_and_replaces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = read_utterance_dir(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.chdir(folder.parent)
    wavs = {name: f"audio/{name}.wav" for name in reversed(NAMES)}
    write_utterance_dir(UtteranceDir(wavs, data.speakers, data.texts), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    write_utterance_dir(UtteranceDir(wavs, data.speakers), folder, dict.fromkeys(NAMES, 3200))
    assert not (folder / "text").exists()
    assert (folder / "utt2num_samples").read_text().splitlines() == [f"{n} 3200" for n in NAMES]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["audio", "data"]


def test_a_write_that_fails_leaves_everything(folder: Path) -> None:
    data = read_utterance_dir(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(KeyError):
        write_utterance_dir(UtteranceDir(data.wavs, {"a-1": "a"}), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("wav.scp", None, "wav.scp: expected this file in a data directory, found none"),
        ("utt2spk", None, "utt2spk: expected this file in a data directory, found none"),
        ("text", "", "text: expected at least one line, found none"),
        ("text", "a-1 x\na-2 x\n", "expected every utterance of the audio, found none of b-1"),
        ("text", "a-1 x\na-2 x\nb-1 x\nc x\n", "text: expected utterances of the audio, found c;"),
        ("text", "a-1 x\na-2\nb-1 x\n", "text:2: expected words after a-2, found none"),
        ("text", "a-1 x\na-1 y\na-2 x\nb-1 x\n", "text:2: expected unique keys, found a-1 already"),
        ("utt2spk", "a-1 a\nb-1 b\na-2 a\n", "utt2spk:3: expected lines sorted by bytes"),
        ("utt2spk", "a-1 a\na-2 a b\nb-1 b\n", "utt2spk:2: expected 2 fields, found 3"),
        ("spk2utt", "a a-1\nb a-2 b-1\n", "inverse of utt2spk, found a-2 of a in one of them"),
        ("wav.scp", "a-1 x.wav\na-2 x.wav\nb-1 x.wav\n", "the audio of a-1, found no file x.wav"),
        ("wav.scp", "a-1 sox x.mp3 -t wav - |\n", "wav.scp:1: expected the path of a plain file"),
    ],
)  # fmt: skip
def test_problems(folder: Path, name: str, content: str | None, message: str) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_utterance_dir(folder)


def test_all_problems_are_told_at_once(folder: Path) -> None:
    (folder / "text").write_text("a-1\nb-1 x\n")
    (folder / "utt2spk").write_text("a-1 a\na-1 b\n")
    with pytest.raises(DataError) as caught:
        read_utterance_dir(folder)
    assert len(caught.value.args) >= 4
