"""Files appear whole or not at all, and what was there stays as it was."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from espnet_prune.storage import files
from espnet_prune.storage.files import atomic_file, atomic_write, replace_files, require_writable

NAMES = ["a.txt", "with blank", "-dash", "*", "quote'\"", "Grüße", "n" * 200, os.fsdecode(b"\xff")]


@pytest.mark.parametrize("name", NAMES)
def test_any_name(tmp_path: Path, name: str) -> None:
    for data in ("first", b"second", "Grüße \udcff"):
        atomic_write(tmp_path / "new" / name, data)
        expected = data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape")
        assert (tmp_path / "new" / name).read_bytes() == expected
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]


def test_a_failure_leaves_the_former_file(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", "former")
    with pytest.raises(KeyboardInterrupt), atomic_file(tmp_path / "a") as file:
        file.write(b"half")
        assert (tmp_path / "a").read_text() == "former"
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "former"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_full_disk_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hidden: bool
) -> None:
    def full(self: files._Output, data: bytes) -> int:
        self.failure = OSError(number, os.strerror(number))
        self.wanted += len(data)
        raise RuntimeError("unexpected pos 1 vs 0") if hidden else self.failure

    monkeypatch.setattr(files._Output, "write", full)
    with pytest.raises(OSError, match="no space left on the disk: expected room for 4 ") as error:
        atomic_write(tmp_path / "a", "data")
    assert error.value.errno == number and error.value.filename == str(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    for target in (Path("real/a"), tmp_path / "real" / "b"):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        for text in ("one", "two"):
            atomic_write(link, text)
            assert link.is_symlink() and (tmp_path / target).read_text() == text
    (tmp_path / "folder").symlink_to("real")
    atomic_write(tmp_path / "folder" / "c", "three")
    assert sorted(path.name for path in (tmp_path / "real").iterdir()) == ["a", "b", "c"]


def test_pipes_are_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    require_writable(tmp_path / "pipe")
    atomic_write(tmp_path / "pipe", "data")
    reader.join()
    assert found == [b"data"] and [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_what_killed_writers_left_is_swept_and_no_more(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "a") as file:
        file.write(b"x")
        (temporary,) = tmp_path.iterdir()
        pattern = temporary.name
    dead = tmp_path / pattern.replace(pattern[-12:-4], "deadbeef")
    dead.write_text("half")
    others = {".a.txt", "a.tmp", ".ab.12345678.tmp", ".b.deadbeef.tmp", "notes"}
    for name in others:
        (tmp_path / name).write_text("mine")
    living = tmp_path / dead.name.replace("deadbeef", "livebeef")
    with open(living, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        atomic_write(tmp_path / "a", "new")
        assert {path.name for path in tmp_path.iterdir()} == others | {"a", living.name}
    atomic_write(tmp_path / "a", "newer")
    assert {path.name for path in tmp_path.iterdir()} == others | {"a"}


def test_several_files_replace_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_files(tmp_path, {"a": "1", "b": b"2", "c": "3", "gone": None})
    replace_files(tmp_path, {"a": "4", "b": "5", "c": None})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "4", "b": "5"}
    with pytest.raises(TypeError):
        replace_files(tmp_path, {"a": "6", "b": 7, "d": "8"})  # type: ignore[dict-item]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "4", "b": "5"}


def test_what_cannot_be_written_is_found_before(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", "former")
    require_writable(tmp_path / "a")
    require_writable(tmp_path / "new" / "b")
    assert (tmp_path / "a").read_text() == "former" and not list((tmp_path / "new").iterdir())
    require_writable("/dev/null")
    for path in (tmp_path, tmp_path / "a" / "b", "/proc/nothing/here"):
        with pytest.raises(OSError):
            require_writable(path)
        with pytest.raises(OSError):
            atomic_write(path, "data")
