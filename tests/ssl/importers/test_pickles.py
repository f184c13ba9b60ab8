"""A file is read as data, or it is refused and nothing in it has run."""

from __future__ import annotations

import os
import pickle
import sys
import types
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from espnet_prune.ssl import CheckpointError
from espnet_prune.ssl.importers.pickles import check_state, load_pickle


@pytest.fixture(autouse=True)
def no_safe_globals() -> Iterator[None]:
    """As in a process that has declared nothing safe."""
    declared = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(declared)


class Payload:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.path),)


@contextmanager
def fairseq_installed() -> Iterator[Any]:
    """fairseq's module of dictionaries, for the time that a file is written."""
    module = types.ModuleType("fairseq.data.dictionary")
    for name in ("Dictionary", "TruncatedDictionary"):
        setattr(module, name, type(name, (), {"__module__": module.__name__}))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("fairseq", "fairseq.data"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        patch.setitem(sys.modules, module.__name__, module)
        yield module


def write_pickle(data: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(data))


def write_legacy(data: object, path: Path) -> None:
    torch.save(data, path, _use_new_zipfile_serialization=False)


every_writer = pytest.mark.parametrize("write", [torch.save, write_legacy, write_pickle])


@every_writer
@pytest.mark.parametrize("inside", ["nothing", "Namespace", "Dictionary"])
def test_pickles_with_code_are_refused_unread(
    tmp_path: Path, write: Callable[[object, Path], object], inside: str
) -> None:
    path, data = tmp_path / "model.pt", Payload(tmp_path / "ran")
    with fairseq_installed() as fairseq:
        if inside != "nothing":
            holder = Namespace() if inside == "Namespace" else fairseq.Dictionary()
            holder.symbols = data
            data = holder
        write({"cfg": data, "model": {}}, path)
    with pytest.raises(CheckpointError, match="can run any program") as refusal:
        load_pickle(path)
    assert not (tmp_path / "ran").exists()
    # PyTorch's own refusal goes on for lines and advises to load the file unsafely; ours must not
    # pass that advice on.
    assert "\n" not in str(refusal.value)
    assert not any(word in str(refusal.value) for word in ("weights_only", "safe_globals"))
    pickle.loads(pickle.dumps(Payload(tmp_path / "ran")))  # It would have.
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("write", [torch.save, write_legacy])
def test_fairseq_files_are_read(tmp_path: Path, write: Callable[[object, Path], object]) -> None:
    path, weight = tmp_path / "hubert.pt", torch.randn(2, 3)
    with fairseq_installed() as fairseq:
        dictionary = fairseq.Dictionary()
        dictionary.symbols, dictionary.indices = ["<s>", "0"], {"<s>": 0, "0": 1}
        args = Namespace(arch="wav2vec2", w2v_args=Namespace(conv_bias=True))
        task_state = {"dictionaries": [dictionary]}
        write({"args": args, "model": {"weight": weight}, "task_state": task_state}, path)
    assert "fairseq" not in sys.modules
    found = load_pickle(path)
    assert found["args"] == args
    assert torch.equal(found["model"]["weight"], weight)
    assert vars(found["task_state"]["dictionaries"][0]) == vars(dictionary)


@pytest.mark.parametrize("declared", [[], [Namespace]])
def test_the_process_stays_as_it_was(tmp_path: Path, declared: list[Any]) -> None:
    torch.serialization.add_safe_globals(declared)
    torch.save({"args": Namespace(a=1)}, tmp_path / "model.pt")
    assert load_pickle(tmp_path / "model.pt")["args"] == Namespace(a=1)
    assert torch.serialization.get_safe_globals() == declared
    torch.save({"args": Fraction(1, 2)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError):
        load_pickle(tmp_path / "other.pt")
    assert torch.serialization.get_safe_globals() == declared


def test_a_refusal_names_what_the_pickle_needs(tmp_path: Path) -> None:
    torch.save({"args": Fraction(1, 2), "model": {}}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="fractions.Fraction"):
        load_pickle(tmp_path / "model.pt")
    with fairseq_installed() as fairseq:
        torch.save({"task_state": fairseq.TruncatedDictionary()}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="fairseq.data.dictionary.TruncatedDictionary"):
        load_pickle(tmp_path / "model.pt")


@pytest.mark.parametrize("write", [torch.save, write_legacy])
@pytest.mark.parametrize("keep", [0, 1, 300, 0.5, 0.9, -1])
def test_truncated_files_are_refused(
    tmp_path: Path, write: Callable[[object, Path], object], keep: float
) -> None:
    path = tmp_path / "model.pt"
    write({"cfg": {"a": 1}, "model": {str(i): torch.randn(30, 30) for i in range(9)}}, path)
    load_pickle(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(CheckpointError, match="model.pt: expected a PyTorch file"):
        load_pickle(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("No such file, said the server.\n" * 100)
    for path in (tmp_path / "text.pt", tmp_path / "nowhere.pt", tmp_path):
        with pytest.raises(CheckpointError, match="expected a PyTorch file"):
            load_pickle(path)


@pytest.mark.parametrize("state", [None, [], {"a": 1}, {1: torch.ones(1)}])
def test_a_state_is_tensors_by_name(state: object) -> None:
    with pytest.raises(CheckpointError, match=f"tensors by name, found {type(state).__name__}"):
        check_state(state, Path("model.pt"))
    assert check_state({"a": torch.ones(1)}, Path("model.pt"))
