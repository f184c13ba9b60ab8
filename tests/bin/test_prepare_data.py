"""From a corpus as distributed to windows, by the commands of the recipe; errors are messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet_prune.bin import check_data, make_windows, prepare_data
from espnet_prune.data.corpora.meetings import CORPORA
from espnet_prune.diarization.windows import WindowAudio, WindowLabels
from tests.data.corpora.meetings.trees import SIZES, make_tree


@pytest.mark.parametrize("name", CORPORA)
def test_corpus_to_windows(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, data = make_tree(name, tmp_path / name), tmp_path / "data"
    prepare_data.main([name, str(corpus), "--output", str(data), "--nj", "2", "--allow_incomplete"])
    output = capsys.readouterr().out
    for split, recordings in SIZES[name].items():
        assert f"{data / split}: {recordings} recordings of 0.00 hours" in output
        raw = tmp_path / "raw" / split
        check_data.main([str(data / split), "--output", str(raw)])
        make_windows.main([str(raw), "--window_size", "0.5", "--window_shift", "0.25"])
        audio = WindowAudio(raw / "windows")
        labels = WindowLabels(raw / "windows", 4)
        assert {len(audio[key]) for key in audio} == {8000}
        assert sum(labels[key].sum() for key in labels) > 0


def test_incomplete_corpus_is_one_message(tmp_path: Path) -> None:
    corpus = make_tree("aishell4", tmp_path / "corpus")
    with pytest.raises(SystemExit) as exit_:
        prepare_data.main(["aishell4", str(corpus), "--output", str(tmp_path / "data")])
    message = str(exit_.value)
    assert message.startswith("prepare_data: expected all of AISHELL-4")
    assert "train: expected 173 recordings of 97.22 hours, found 3 recordings of 0.00" in message
    assert "https://www.openslr.org/111" in message


def test_help_names_every_corpus(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        prepare_data.main(["--help"])
    text = capsys.readouterr().out
    assert all(corpus.folders in text and corpus.home in text for corpus in CORPORA.values())


def test_merge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in CORPORA:
        corpus = make_tree(name, tmp_path / name)
        output = tmp_path / "data" / name
        prepare_data.main([name, str(corpus), "--output", str(output), "--allow_incomplete"])
    folders = [str(tmp_path / "data" / name / "train") for name in CORPORA]
    output = tmp_path / "data" / "train"
    check_data.main([*folders, "--output", str(output)])
    assert f"{output}: 7 recordings" in capsys.readouterr().out
    check_data.main([str(output), "--output", str(tmp_path / "raw")])
    with pytest.raises(SystemExit, match="check_data: .* of the same name"):
        check_data.main([folders[0], folders[0], "--output", str(output)])
