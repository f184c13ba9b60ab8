"""Every verb with mutated arguments, configurations and files: a valid result, or one refusal."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.drill.forked import Outcome, forked
from tests.drill.inputs import COMMANDS, build, modules
from tests.drill.recipe import Reference
from tests.drill.rows import Row

WORDS = ("", " ", "nan", "inf", "-1", "0", "-0.5", "1e400", "10" * 20, "x", "None", "[1", "é\udcff")
WORDS += (
    "{a: b}",
    "a=b=c",
    "=",
    "--",
    "*",
    "x" * 300,
    "not/there",
    ".",
    "/dev/null",
    "/proc/1/mem",
)
VALUES = (None, [], {}, "x", "", -1, 0, 10**20, float("nan"), float("inf"), True, [None], {"a": 1})
_SECONDS = 12.0  # for a verb, at most
_BYTES: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello\nworld\n",
    "binary": bytes(range(256)) * 4,
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "html": b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n",
    "utf16": "a b c\n".encode("utf-16"),
    "zip": b"PK\x03\x04" + b"\0" * 60,
    "pickle": b"\x80\x04N.",
}


class Case(NamedTuple):
    """A verb, its arguments and what was done to them."""

    verb: str
    words: list[str]
    done: str
    outcome: Outcome

    @property
    def where(self) -> str:
        """The last line of ours in a traceback, and its message."""
        lines = re.findall(r'File "[^"]*/(espnet_prune/[^"]+)", line (\d+)', self.outcome.said)
        last = self.outcome.said.strip().splitlines()[-1:] or [""]
        return f"{':'.join(lines[-1]) if lines else '?'} {last[0][:160]}"


def fuzz(verb: str, inputs: Path, work: Path, cases: int, seconds: float) -> Iterator[Case]:
    """The cases of a verb, first its valid command, until there are ``cases`` or time is up."""
    main = import_module(modules()[verb.partition("@")[0]]).main
    start = time.monotonic()
    for number in range(cases):
        if time.monotonic() - start > seconds:
            return
        chance = random.Random(f"{verb} {number}")
        folder = work / f"{verb}_{os.getpid()}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(inputs, folder, symlinks=True, copy_function=_link)
        words, done = list(COMMANDS[verb]), "as it is"
        if number:
            done = chance.choice(_MUTATIONS)(words, folder, chance)
        limit = 240 if verb.startswith("run_bench") else 60
        yield Case(verb, words, done, forked(main, words, folder=folder, limit=limit))
        shutil.rmtree(folder, ignore_errors=True)


def _link(source: str, target: str) -> None:
    os.link(source, target, follow_symlinks=False)


def _drop(words: list[str], folder: Path, chance: random.Random) -> str:
    return f"without {words.pop(chance.randrange(len(words)))}"


def _twice(words: list[str], folder: Path, chance: random.Random) -> str:
    at = chance.randrange(len(words))
    words.insert(at, words[at])
    return f"twice {words[at]}"


def _replace(words: list[str], folder: Path, chance: random.Random) -> str:
    at = chance.choice([i for i, word in enumerate(words) if not word.startswith("--")])
    was, words[at] = words[at], chance.choice(WORDS)
    if "=" in was and chance.random() < 0.8:
        words[at] = f"{was.partition('=')[0]}={words[at]}"
    return f"{was} -> {words[at]!r}"


def _file(words: list[str], folder: Path, chance: random.Random) -> str:
    """Other bytes in a file that an argument names, or in one of the folder that it names."""
    path = _some_file(words, folder, chance)
    if path is None:
        return _replace(words, folder, chance)
    kind = chance.choice([*_BYTES, "truncated", "flipped", "missing", "folder"])
    data = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "truncated":
        path.write_bytes(data[: chance.randrange(len(data) or 1)])
    elif kind == "flipped":
        damaged = bytearray(data)
        for place in chance.choices(range(len(damaged)), k=3 if damaged else 0):
            damaged[place] ^= 0xFF
        path.write_bytes(damaged)
    elif kind != "missing":
        path.write_bytes(_BYTES[kind])
    return f"{path.relative_to(folder)} {kind}"


def _leaf(words: list[str], folder: Path, chance: random.Random) -> str:
    """Another value at one place of a JSON or YAML file."""
    path = _some_file(words, folder, chance, ".json", ".yaml")
    if path is None:
        return _file(words, folder, chance)
    read, write = (
        (json.loads, json.dumps) if path.suffix == ".json" else (yaml.safe_load, yaml.dump)
    )
    tree = read(path.read_text())
    places = [*_places(tree)]
    if not places:
        return _file(words, folder, chance)
    holder, key = chance.choice(places)
    value = chance.choice(VALUES)
    holder[key] = value
    path.unlink()
    path.write_text(write(tree))
    return f"{path.relative_to(folder)} {key} = {value!r}"


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    if not isinstance(tree, dict | list):
        return
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items):
        yield tree, key
        yield from _places(value)


def _some_file(words: list[str], folder: Path, chance: random.Random, *kinds: str) -> Path | None:
    found = set()
    for word in words:
        path = folder / re.split("[,=]", word)[(word.count("=") > 0 and 1) or 0]
        path = path.parent if path.suffix == ".pth" and kinds else path
        found.update([path, path.parent / "config.yaml"] if path.is_file() else path.rglob("*"))
    inside = [p for p in sorted(found) if p != folder and p.is_file() and folder in p.parents]
    inside = [p for p in inside if not kinds or p.suffix in kinds]
    return chance.choice(inside) if inside else None


_MUTATIONS: tuple[Callable[[list[str], Path, random.Random], str], ...]
_MUTATIONS = (_drop, _twice, _replace, _replace, _replace, _file, _file, _leaf, _leaf, _leaf)


def summary(faults: list[Case]) -> str:
    """Faults by the line of ours that they came from."""
    counts = Counter(case.where for case in faults)
    return "; ".join(f"{count} x {where}" for where, count in counts.most_common(20))


def _row(reference: Reference, names: list[str]) -> str:
    inputs = reference.work / f"fuzz_{names[0]}"
    shutil.rmtree(inputs, ignore_errors=True)
    build(inputs)
    cases = (c for verb in names for c in fuzz(verb, inputs, reference.work, 300, _SECONDS))
    return summary([case for case in cases if case.outcome.fault])


_VERBS = sorted({*modules(), *COMMANDS})
ROWS = [
    Row(f"fuzz {name}", "a result or one refusal", partial(_row, names=[*names]), True)
    for name, names in (("one", _VERBS[::2]), ("two", _VERBS[1::2]))
]
