"""The command writes a whole folder or none, and tells errors in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from espnet_prune.bin.convert import main
from espnet_prune.ssl import SSLEncoder
from tests.encoders import random_encoder, tiny_config
from tests.ssl.test_importers import WRITERS, Payload, error, waveforms


@pytest.mark.parametrize("kind", WRITERS)
@torch.no_grad()
def test_converted_folder_is_the_imported_encoder(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from espnet_prune.ssl.importers import import_encoder

    source = WRITERS[kind](tmp_path, "large")
    main([str(source), str(tmp_path / "new" / "model")])
    encoder = SSLEncoder.from_pretrained(tmp_path / "new" / "model")
    wav = waveforms()[0][None]
    assert error(encoder(wav).hidden_states, import_encoder(source)(wav).hidden_states) == 0
    files = sorted(path.name for path in (tmp_path / "new").rglob("*"))
    assert files == ["config.json", "model", "model.safetensors"]
    assert "wavlm, 3 layers, 0.0 M parameters" in capsys.readouterr().out


def test_own_folder_is_copied(tmp_path: Path) -> None:
    random_encoder(tiny_config()).save_pretrained(tmp_path / "a")
    (tmp_path / "b").mkdir()
    main([str(tmp_path / "a"), str(tmp_path / "b")])
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "a" / name).read_bytes()


def test_occupied_destination_is_left_alone(tmp_path: Path) -> None:
    random_encoder(tiny_config()).save_pretrained(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes").write_text("mine")
    with pytest.raises(SystemExit, match="convert: .*expected a new or empty folder"):
        main([str(tmp_path / "a"), str(tmp_path / "b")])
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["notes"]


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random_encoder(tiny_config()).save_pretrained(tmp_path / "a")
    written: list[int] = []

    def full_after_the_weights(handle: int) -> None:
        written.append(handle)
        if len(written) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("espnet_prune.ssl.files.os.fsync", full_after_the_weights)
    with pytest.raises(SystemExit, match="convert: .*No space left"):
        main([str(tmp_path / "a"), str(tmp_path / "b")])
    assert len(written) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_errors_are_one_line_and_exit_1(tmp_path: Path) -> None:
    torch.save({"cfg": Payload(tmp_path / "ran"), "model": {}}, tmp_path / "WavLM.pt")
    command = [sys.executable, "-m", "espnet_prune.bin.convert"]
    result = subprocess.run(
        [*command, str(tmp_path / "WavLM.pt"), str(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("convert: ") and "can run any program" in line
    assert not (tmp_path / "ran").exists() and not (tmp_path / "model").exists()
