"""The command writes the windows of the scored regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_prune.bin.make_windows import main
from espnet_prune.diarization.windows import WindowAudio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a data directory of one silent recording of 10.005 s."""
    soundfile.write(tmp_path / "a.wav", np.zeros(160080), 16000)
    (tmp_path / "wav.scp").write_text(f"a {tmp_path / 'a.wav'}\n")
    (tmp_path / "rttm").write_text("")
    return tmp_path


def test_whole_recording(folder: Path) -> None:
    main([str(folder)])
    assert (folder / "windows").read_text().splitlines() == [
        "a-0000000-0000800 a 0.00 8.00",
        "a-0000200-0001000 a 2.00 10.00",
    ]
    assert len(WindowAudio(folder / "windows")["a-0000200-0001000"]) == 128000


def test_options_and_uem(folder: Path) -> None:
    (folder / "uem").write_text("a 1 1 6\n")
    output = folder / "other"
    main([str(folder), "--window_size", "2", "--window_shift", "1.5", "--output", str(output)])
    assert [line.split()[2:] for line in output.read_text().splitlines()] == [
        ["1.00", "3.00"],
        ["2.50", "4.50"],
        ["4.00", "6.00"],
    ]


@pytest.mark.parametrize(
    ("uem", "options", "message"),
    [
        ("a 1 6 1\n", [], r"make_windows: .*uem:1: expected an end after the start"),
        ("a 1 11 12\n", [], r"make_windows: .*uem: expected regions within the 10\.005 s of a"),
        ("", [], r"make_windows: expected scored audio in .*, found none"),
        ("a 1 0 9\n", ["--window_shift", "0"], r"make_windows: expected a window shift"),
    ],
)
def test_failure_is_one_message(folder: Path, uem: str, options: list[str], message: str) -> None:
    (folder / "windows").write_text("earlier")
    (folder / "uem").write_text(uem)
    with pytest.raises(SystemExit, match=message):
        main([str(folder), *options])
    assert (folder / "windows").read_text() == "earlier"
