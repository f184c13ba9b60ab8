"""The command writes a whole folder or none, and tells errors in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from espnet_prune.bin.convert import FORMATS, main
from espnet_prune.encoder import SSLEncoder
from espnet_prune.formats import import_encoder
from tests.encoders import random_encoder, tiny_config
from tests.formats.dphubert_format import dphubert_config, dphubert_state
from tests.formats.parity import identical

OURS = ["README.md", "config.json", "model.safetensors"]
OURS += ["modeling_espnet_prune.py", "preprocessor_config.json"]
THEIRS = ["config.json", "model.safetensors", "preprocessor_config.json"]


def dphubert_file(folder: Path) -> Path:
    config = dphubert_config("hubert", "base")
    torch.save({"config": config, "state_dict": dphubert_state(config)}, folder / "any.pt")
    return folder / "any.pt"


def own_folder(folder: Path) -> Path:
    random_encoder(tiny_config().dense(12)).save_pretrained(folder / "own")
    return folder / "own"


@pytest.mark.parametrize(
    "write, options, files",
    [
        (dphubert_file, [], OURS),
        (own_folder, ["--format", "espnet_prune"], OURS),
        (own_folder, ["--format", "huggingface"], THEIRS),
    ],
)
def test_converted_folder_is_the_imported_encoder(
    tmp_path: Path,
    write: Callable[[Path], Path],
    options: list[str],
    files: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, folder = write(tmp_path), tmp_path / "new" / "model"
    main([str(source), str(folder), *options])
    encoder = import_encoder(source)
    assert identical(SSLEncoder.from_pretrained(folder), encoder)
    assert sorted(path.name for path in folder.iterdir()) == files
    assert list((tmp_path / "new").iterdir()) == [folder]
    millions = sum(parameter.numel() for parameter in encoder.parameters()) / 1e6
    layers = f"{encoder.config.family}, {len(encoder.config.layers)} layers"
    assert capsys.readouterr().out == f"{folder}: {layers}, {millions:.2f} M parameters\n"


def test_own_folder_is_copied(tmp_path: Path) -> None:
    random_encoder(tiny_config()).save_pretrained(tmp_path / "a")
    (tmp_path / "b").mkdir()
    main([str(tmp_path / "a"), str(tmp_path / "b")])
    for name in (name for name in OURS if name != "config.json"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "a" / name).read_bytes()
    ours, theirs = (json.loads((tmp_path / x / "config.json").read_text()) for x in ("a", "b"))
    (step,) = theirs.pop("history")
    assert ours == theirs and (step["step"], step["source"]) == ("converted", "a")


def test_occupied_destination_is_left_alone(tmp_path: Path) -> None:
    random_encoder(tiny_config()).save_pretrained(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes").write_text("mine")
    with pytest.raises(SystemExit, match="convert: .*expected a new or empty folder"):
        main([str(tmp_path / "a"), str(tmp_path / "b")])
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["notes"]


@pytest.mark.parametrize("format_", FORMATS)
def test_failed_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    random_encoder(tiny_config().dense(12)).save_pretrained(tmp_path / "a")
    written: list[int] = []

    def full_at_the_last_file(handle: int) -> None:
        written.append(handle)
        if len(written) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("espnet_prune.storage.files.os.fsync", full_at_the_last_file)
    with pytest.raises(SystemExit, match="convert: .*no space left"):
        main([str(tmp_path / "a"), str(tmp_path / "b"), "--format", format_])
    assert len(written) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_format_that_cannot_hold_the_encoder(tmp_path: Path) -> None:
    random_encoder(tiny_config()).save_pretrained(tmp_path / "a")
    with pytest.raises(SystemExit, match="convert: expected an encoder that transformers"):
        main([str(tmp_path / "a"), str(tmp_path / "b"), "--format", "huggingface"])
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


class Payload:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_errors_are_one_line_and_exit_2(tmp_path: Path) -> None:
    torch.save({"cfg": Payload(tmp_path / "ran"), "model": {}}, tmp_path / "WavLM.pt")
    command = [sys.executable, "-m", "espnet_prune.bin.convert"]
    result = subprocess.run(
        [*command, str(tmp_path / "WavLM.pt"), str(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    *_, line = result.stderr.splitlines()
    assert line.startswith("convert: ") and "can run any program" in line
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "ran").exists() and not (tmp_path / "model").exists()


def test_help_tells_every_source(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    found = capsys.readouterr().out
    for source in ("folder", "file", "owner/name", "https://", "torchaudio:", "DiariZen", "s3prl"):
        assert source in found


def test_the_destination_is_tried_before_the_source_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for destination in (tmp_path / "file", tmp_path / "file" / "model"):
        with pytest.raises(SystemExit, match=f"convert: .*{tmp_path}/file"):
            main(["no such source", str(destination)])
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("mounted", [False, True])
def test_folders_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounted: bool
) -> None:
    monkeypatch.setattr("os.path.ismount", lambda path: mounted)
    source, real = own_folder(tmp_path), tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to("real")
    main([str(source), str(tmp_path / "link")])
    assert (tmp_path / "link").is_symlink() and sorted(p.name for p in real.iterdir()) == OURS
    assert identical(SSLEncoder.from_pretrained(real), import_encoder(source))
