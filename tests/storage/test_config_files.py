"""YAML, JSON and TOML files: values by name, or one line that names the file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from espnet_prune.encoder.typed import ConfigError
from espnet_prune.storage.config_files import read_json, read_toml, read_yaml

pytest.importorskip("yaml")  # which the core reads with and does not need

CASES = Path(__file__).parents[1] / "data" / "cases"
READERS = [read_json, read_toml, read_yaml]
every_reader = pytest.mark.parametrize("read", READERS)


@pytest.mark.parametrize(
    "text, value",
    [
        ("1e-3", 1e-3),
        ("1.5e3", 1500.0),
        ("-1E+2", -100.0),
        (".5e1", 5.0),
        ("1e", "1e"),
        ("e5", "e5"),
        ("1e-3x", "1e-3x"),
        ("'1e-3'", "1e-3"),
        ("12", 12),
        ("1_0", 10),
        ("", None),
    ],
)
def test_numbers_of_yaml(tmp_path: Path, text: str, value: object) -> None:
    (tmp_path / "a.yaml").write_text(f"x: {text}\n")
    found = read_yaml(tmp_path / "a.yaml")["x"]
    assert found == value and type(found) is type(value)


def test_layers(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.yaml").write_text("a: 1\nb: {c: 2, d: {e: 3}}\nl: [1, 2]\n")
    (tmp_path / "sub" / "top.yaml").write_text("base: ../base.yaml\nb: {d: {e: 4}, f: 5}\nl: [9]\n")
    expected = {"a": 1, "b": {"c": 2, "d": {"e": 4}, "f": 5}, "l": [9]}
    assert read_yaml(tmp_path / "sub" / "top.yaml") == expected
    (tmp_path / "base.yaml").write_text("base: sub/top.yaml\n")
    with pytest.raises(ConfigError, match="another file as base, found one that leads back here"):
        read_yaml(tmp_path / "sub" / "top.yaml")
    (tmp_path / "base.yaml").unlink()
    with pytest.raises(ConfigError, match=r"base.yaml: expected a YAML file \(base of .*top.yaml"):
        read_yaml(tmp_path / "sub" / "top.yaml")
    (tmp_path / "sub" / "top.yaml").write_text("base: [1]\n")
    with pytest.raises(ConfigError, match="base: expected the path of a YAML file, .* found .1."):
        read_yaml(tmp_path / "sub" / "top.yaml")


def test_an_empty_yaml_has_no_values(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# nothing\n")
    assert read_yaml(tmp_path / "a.yaml") == {}


@every_reader
@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00 = 1",
        b"\x00\x01\x02",
        b"{" * 200_000,
        b"[" * 200_000,
        b"a: [1\nb: 2",
        b"a: !!python/object/apply:os.system ['true']",
        b"<!DOCTYPE html><html><body>Sign in</body></html>",
        b"- 1\n- 2\n",
        b'"text"',
        b"3",
    ],
)
def test_other_files_are_refused(
    tmp_path: Path, read: Callable[[Path], dict[str, Any]], content: bytes
) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ConfigError, match="file.*: expected") as refusal:
        read(tmp_path / "file")
    assert len(str(refusal.value).splitlines()) == 1


@every_reader
def test_what_is_no_file_is_refused(tmp_path: Path, read: Callable[[Path], dict[str, Any]]) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match=f"{path}: expected a .* file, found none: "):
            read(path)
    os.truncate(os.open(tmp_path / "large", os.O_CREAT | os.O_WRONLY), 1 << 40)
    with pytest.raises(ConfigError, match="large: expected a .* file, found more than"):
        read(tmp_path / "large")


def test_keys_are_texts(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("1: 2\n")
    with pytest.raises(ConfigError, match="expected values by name, found .1: 2."):
        read_yaml(tmp_path / "a.yaml")


def test_a_yaml_that_does_not_parse_names_the_line() -> None:
    with pytest.raises(ConfigError, match=r"broken.yaml:\d+: expected a YAML file"):
        read_yaml(CASES / "broken.yaml")


def test_exponents() -> None:
    values = read_yaml(CASES / "exponent.yaml")["pruning_conf"]
    assert (values["gate_lr"], values["warmup_steps"]) == (1e-3, 100)
