"""Atomic writes: a reader sees the former file or the whole new one, never a part."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

# The middle of a temporary file's name, between the name that it will have and eight letters.
_SUFFIX = ".tmp"


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to in the ``with`` block, which becomes ``path`` at its end.

    It lies beside what ``path`` names, links followed, so that it is on the same disk. What killed
    writers of the same file have left is removed. A pipe or a device gets it all at the end. After
    an error, of the disk or of the block, ``path`` is as it was.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not (target.is_file() or target.is_dir()):
        with tempfile.TemporaryFile() as whole:  # writers seek, which these cannot
            yield whole
            whole.seek(0)
            with open(target, "wb") as stream:
                shutil.copyfileobj(whole, stream)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target), suffix=_SUFFIX)
    fcntl.flock(handle, fcntl.LOCK_EX)
    file = _Output(io.FileIO(handle, "wb"))
    try:
        yield file
        file.flush()
        os.fsync(handle)
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException as error:
        os.unlink(name)
        failure = file.failure or error
        if isinstance(failure, OSError) and failure.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(failure, target, file.wanted) from None
        raise
    finally:
        with contextlib.suppress(OSError):
            file.close()


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write ``data`` (text as UTF-8) to ``path``, as :func:`atomic_file` does."""
    with atomic_file(path) as file:
        file.write(_encoded(data))


def replace_files(folder: str | os.PathLike[str], files: Mapping[str, bytes | str | None]) -> None:
    """Write several files of a folder; all are complete before the first replaces an earlier one.

    ``files`` tells what each is to hold, by its name; None removes it.
    """
    with contextlib.ExitStack() as stack:
        for name, data in files.items():
            if data is not None:
                stack.enter_context(atomic_file(Path(folder, name))).write(_encoded(data))
    for name, data in files.items():
        if data is None:
            Path(folder, name).unlink(missing_ok=True)


def require_writable(path: str | os.PathLike[str]) -> None:
    """Raise OSError, before long work begins, if :func:`atomic_file` could not write ``path``."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(
            errno.EISDIR, "expected a file to write, found a folder of that name", str(path)
        )
    if target.exists() and not target.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=target.parent):
        pass


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """As :func:`atomic_file`, for libraries that write a file by its name.

    What they write beside it, such as weights that do not fit into an ONNX file, moves along.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder) / path.name
        yield temporary
        for file in sorted(Path(folder).iterdir(), key=temporary.__eq__):  # itself the last
            os.replace(file, path.with_name(file.name))


@contextlib.contextmanager
def new_folder(path: str | os.PathLike[str], last: str, replace: bool = False) -> Iterator[Path]:
    """A folder to make in the ``with`` block, which becomes ``path`` (absent or empty) at its end.

    All files appear at once: a killed run leaves no folder that lacks some. ``last`` is the file
    that tells that a folder is complete; with ``replace``, ``path`` may be one that has it.

    Raises:
        FileExistsError: ``path`` has other files.
    """
    target = Path(os.path.realpath(path))
    former = list(target.iterdir()) if target.exists() else []
    if former and not (replace and target / last in former):
        raise FileExistsError(
            f"{path}: expected a new or empty folder, found one with files; remove it or choose "
            "another name"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    # What is mounted cannot be replaced, and is another disk than its parent.
    mounted = os.path.ismount(target)
    place = target if mounted else target.parent
    sweep(target)
    own = tempfile.TemporaryDirectory(_SUFFIX, _prefix(target), place)
    with own as temporary, _locked(temporary):
        folder, old = Path(temporary, "new"), Path(temporary, "old")
        yield folder
        old.mkdir()
        for file in sorted(former, key=lambda file: file.name != last):
            os.replace(file, old / file.name)
        if not mounted:
            os.replace(folder, target)
            return
        for file in sorted(folder.iterdir(), key=lambda file: file.name == last):
            os.replace(file, target / file.name)


def sweep(target: Path) -> None:
    """Remove the temporary files and folders of writers of ``target`` that were killed."""
    prefix = _prefix(target)
    for entry in target.parent.iterdir():
        if not (entry.name.startswith(prefix) and entry.name.endswith(_SUFFIX)):
            continue
        # A living writer holds this lock.
        with contextlib.suppress(OSError), _locked(entry, fcntl.LOCK_NB):
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


@contextlib.contextmanager
def _locked(path: str | os.PathLike[str], flags: int = 0) -> Iterator[None]:
    """Hold the lock of a file or folder in the ``with`` block."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | flags)
        yield
    finally:
        os.close(handle)


class _Output(io.BufferedWriter):
    """Remembers why writing failed, as torch.save does not tell, and the bytes that were wanted."""

    failure: OSError | None = None
    wanted = 0

    def write(self, data: Any) -> int:
        self.wanted += memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as error:
            self.failure = self.failure or error
            raise


def _no_space(error: OSError, target: Path, wanted: int) -> OSError:
    free = shutil.disk_usage(target.parent).free
    what = (
        f"no space left on the disk: expected room for {wanted} bytes or more, found {free}; make "
        "room and run the same command again"
    )
    return OSError(error.errno, what, str(target))


def _prefix(target: Path) -> str:
    return f".{target.name[:100]}."


def _encoded(data: bytes | str) -> bytes:
    # Names of files may hold bytes that are no UTF-8, which Python keeps as surrogates.
    return data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
