"""Prints the checksum of a stage: its commands' words, the files among them, the stages before."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
import types
from pathlib import Path
from typing import Any

_found = importlib.util.find_spec("espnet_prune")
if _found is None or not _found.submodule_search_locations:
    sys.exit(f"expected espnet_prune in {sys.executable}, found none: pip install it there")
# The package itself would import torch, which takes seconds.
for _name in ("", ".encoder", ".storage"):
    _package = types.ModuleType(f"espnet_prune{_name}")
    _package.__path__ = [
        f"{location}{_name.replace('.', '/')}" for location in _found.submodule_search_locations
    ]
    sys.modules[_package.__name__] = _package

from espnet_prune.encoder.typed import ConfigError  # noqa: E402
from espnet_prune.storage.config_files import read_yaml  # noqa: E402
from espnet_prune.storage.files import atomic_write  # noqa: E402

# Options and keys of configurations that say how something runs and not what.
HOW = {"num_workers", "log_interval", "log_level", "use_tensorboard", "use_matplotlib"}
OUTPUTS = {"--output", "--output_dir", "--log"}
AUDIO = {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".sph"}
MANY = 1000  # files: a folder of more is a corpus, which counts by its name
LARGE = 1 << 20  # bytes: checksums of larger files are kept


class Signer:
    """Describes words, and remembers the checksums of large files.

    Args:
        made: folders that stages of the recipe make, whose content counts through these stages.
        known: checksums by path, size, time of change and inode.
    """

    def __init__(self, made: list[str], known: dict[str, str]):
        self.made = [Path(os.path.abspath(folder)) for folder in made]
        self.known = known
        self.used: dict[str, str] = {}

    def command(self, words: list[str]) -> list[Any]:
        """What the words of one command stand for."""
        described: list[Any] = []
        previous = ""
        for word in words:
            option, _, value = word.partition("=")
            if previous.lstrip("-") in HOW and previous.startswith("--"):
                described.pop()
            elif not (option.startswith("--") and option[2:] in HOW and value):
                described.append(word if previous in OUTPUTS else self.word(word))
            previous = word
        return [self.relative(each) if isinstance(each, str) else each for each in described]

    def word(self, word: str) -> Any:
        """The word, and the content of the files that it names: FILE, KEY=FILE or FILE,KEY,TYPE."""
        for path in (word, word.partition("=")[2].strip('"'), word.partition(",")[0]):
            found = self.content(path)
            if found is not None:
                return [self.relative(word), found]
        return word

    def relative(self, word: str) -> str:
        """The word without the name of the experiment's folder, which may move."""
        key, separator, path = word.rpartition("=")
        inside = Path(os.path.abspath(path)) if path else None
        if inside and inside.is_relative_to(self.made[0]):
            return f"{key}{separator}EXP/{inside.relative_to(self.made[0])}"
        return word

    def content(self, name: str) -> Any:
        """What a file or folder holds; None if there is none or the stages themselves make it."""
        path = Path(os.path.abspath(name))
        if not name or any(path.is_relative_to(folder) for folder in self.made):
            return None
        try:
            if path.is_file():
                return self.file(path)
            return self.folder(path) if path.is_dir() else None
        except (OSError, ValueError) as error:
            return str(error)

    def file(self, path: Path) -> Any:
        """The values of a YAML file, the checksum of any other."""
        if path.suffix in (".yaml", ".yml"):
            try:
                return self.values(read_yaml(path), top=True)
            except ConfigError:
                pass  # the stage's own command explains it
        status = path.stat()
        if path.suffix.lower() in AUDIO:
            return status.st_size
        key = f"{os.path.realpath(path)}|{status.st_size}|{status.st_mtime_ns}|{status.st_ino}"
        if key not in self.known:
            digest = hashlib.sha256()
            with open(path, "rb") as file:
                while block := file.read(LARGE):
                    digest.update(block)
            self.known[key] = digest.hexdigest()
        if status.st_size >= LARGE:
            self.used[key] = self.known[key]
        return self.known[key]

    def values(self, values: Any, top: bool = False) -> Any:
        """Values of a configuration, with the content of the files that they name."""
        if isinstance(values, dict):
            return {str(k): self.values(v) for k, v in values.items() if not (top and k in HOW)}
        if isinstance(values, list):
            return [self.values(value) for value in values]
        if isinstance(values, str) and "/" in values:
            return [values, self.content(values)]
        return values

    def folder(self, folder: Path) -> Any:
        """The content of a model's or a data folder; a corpus counts by its name."""
        files: list[Path] = []
        for parent, folders, names in os.walk(folder, followlinks=True):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            shown = (Path(parent, name) for name in sorted(names) if not name.startswith("."))
            files += [path for path in shown if path.suffix.lower() not in AUDIO]
            if len(files) + len(folders) > MANY:
                return "many files"
            if "wav.scp" in names:
                folders.clear()
        return [[str(path.relative_to(folder)), self.file(path)] for path in files]


def main() -> None:
    """``sign.py CACHE EARLIER MADE...``: the words of commands come from standard input."""
    cache, earlier, *made = sys.argv[1:]
    try:
        known = json.loads(Path(cache).read_bytes())
    except (OSError, ValueError):
        known = {}
    signer = Signer(made, dict(known))
    text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    commands = [command.split("\0") for command in text.split("\0\0") if command]
    described = [signer.command(command) for command in commands]
    encoded = json.dumps([described, earlier], sort_keys=True, default=str).encode()
    print(hashlib.sha256(encoded).hexdigest())
    if signer.used.keys() - known.keys():
        atomic_write(cache, json.dumps({**known, **signer.used}))


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
