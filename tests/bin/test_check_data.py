"""The command writes a formatted copy of sound data, and nothing of unsound data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_prune.bin.check_data import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a data directory of one recording of 1 s."""
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "wav.scp").write_text(f"a {tmp_path / 'a.wav'}\n")
    (folder / "rttm").write_text("SPEAKER a 1 0 0.5 <NA> <NA> MÉO069 <NA> <NA>\n")
    return folder


def test_sound_data(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(folder), "--output", str(tmp_path / "dump")])
    assert (tmp_path / "dump" / "uem").read_text() == "a 1 0.0000 1.0000\n"
    assert "1 recordings, 0.00 hours, 1 speakers, 50.0% speech" in capsys.readouterr().out


def test_unsound_data_leaves_earlier_results(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "dump"
    main([str(folder), "--output", str(output)])
    earlier = {path.name: path.read_text() for path in output.iterdir()}
    (folder / "rttm").write_text("SPEAKER a 1 0 9 <NA> <NA> x <NA> <NA>\n")
    with pytest.raises(SystemExit, match=r"check_data: .*rttm:1: expected an end within") as exit_:
        main([str(folder), "--output", str(output)])
    assert exit_.value.code == 2
    assert {path.name: path.read_text() for path in output.iterdir()} == earlier


def test_unwritable_output_is_one_message(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"check_data: .*Not a directory"):
        main([str(folder), "--output", str(tmp_path / "file" / "dump")])


def test_what_is_neither_of_meetings_nor_of_utterances(folder: Path, tmp_path: Path) -> None:
    output = ["--output", str(tmp_path / "dump")]
    with pytest.raises(SystemExit, match="expected no limits of length of meetings"):
        main([str(folder), *output, "--min_seconds", "1"])
    (tmp_path / "list").write_text(f"{tmp_path}/a.wav\n")
    with pytest.raises(SystemExit, match=r"check_data: expected one SOURCE.*, found 2"):
        main([str(folder), f"{tmp_path}/list", *output])
    (folder / "rttm").unlink()
    with pytest.raises(SystemExit, match=r"check_data: .*with rttm or .* utt2spk, found neither"):
        main([str(folder), *output])
    assert not (tmp_path / "dump").exists()
