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

from espnet_prune.formats.pickles import check_state, load_pickle
from espnet_prune.storage import CheckpointError


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


@contextmanager
def fairseq_dataclasses() -> Iterator[Any]:
    """A typed config and an enumeration such as fairseq's, for the time that a file is written."""
    module = types.ModuleType("fairseq.dataclass.configs")
    source = (
        "import enum, dataclasses, pathlib\n"
        "class Mode(enum.Enum):\n    default = 'default'\n"
        "@dataclasses.dataclass\nclass Config:\n"
        "    mode: Mode = Mode.default\n    width: int = 16\n    where: pathlib.Path = "
        "pathlib.Path('a/b')\n    sizes: list[int] = dataclasses.field(default_factory=lambda: [1])"
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in ("fairseq", "fairseq.dataclass"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        patch.setitem(sys.modules, module.__name__, module)
        exec(source, vars(module))
        yield module


@pytest.fixture
def nothing_installed() -> Iterator[Callable[[], None]]:
    """Call it, and OmegaConf and NumPy cannot be imported any more."""
    with pytest.MonkeyPatch.context() as patch:
        names = [name for name in sys.modules if name.split(".")[0] in ("omegaconf", "numpy")]

        def remove() -> None:
            for name in names:
                patch.setitem(sys.modules, name, None)

        yield remove


def test_configs_of_omegaconf_are_data(
    tmp_path: Path, nothing_installed: Callable[[], None]
) -> None:
    omegaconf = pytest.importorskip("omegaconf")
    values = {
        "model": {"_name": "hubert", "normalize": "${task.normalize}", "w": None, "x": 1e-3},
        "task": {"normalize": True, "list": [1, 2.5, [False, "text"]], "env": "${oc.env:HOME}"},
        "loop": "${loop}",
    }
    with fairseq_dataclasses() as fairseq:
        config = omegaconf.OmegaConf.create({**values, "typed": fairseq.Config()})
        torch.save({"cfg": config, "part": config.model, "model": {}}, tmp_path / "model.pt")
    nothing_installed()
    found = load_pickle(tmp_path / "model.pt")
    typed = {"mode": "default", "width": 16, "where": "a/b", "sizes": [1]}
    expected = {**values, "typed": typed}
    expected["model"] = {**values["model"], "normalize": True}
    assert found == {"cfg": expected, "part": expected["model"], "model": {}}
    plain = (dict, list, str, int, float, bool, type(None))

    def walk(value: object) -> None:
        assert type(value) in plain
        for each in value.values() if isinstance(value, dict) else value:  # type: ignore
            walk(each) if isinstance(each, dict | list) else None

    walk(found)


@pytest.mark.parametrize("write", [torch.save, write_legacy])
def test_scalars_arrays_and_paths_are_data(
    tmp_path: Path, write: Callable[[object, Path], object], nothing_installed: Callable[[], None]
) -> None:
    numpy = pytest.importorskip("numpy")
    data = {
        "loss": numpy.float64(0.25),
        "half": numpy.float16(0.5),
        "steps": numpy.int64(-3),
        "flag": numpy.bool_(True),
        "name": numpy.str_("Grüße"),
        "array": numpy.arange(6.0).reshape(2, 3),
        "path": Path("/a/b c"),
        "nested": [(numpy.int32(1), {"deep": numpy.uint8(7)})],
        "args": Namespace(lr=numpy.float32(0.5)),
    }
    write(data, tmp_path / "model.pt")
    nothing_installed()
    found = load_pickle(tmp_path / "model.pt")
    array = found.pop("array")
    assert torch.equal(array, torch.arange(6.0, dtype=torch.float64).view(2, 3))
    assert found == {
        "loss": 0.25,
        "half": 0.5,
        "steps": -3,
        "flag": True,
        "name": "Grüße",
        "path": "/a/b c",
        "nested": [(1, {"deep": 7})],
        "args": Namespace(lr=0.5),
    }
    assert [type(found[name]) for name in ("loss", "steps", "flag")] == [float, int, bool]


def test_containers_that_hold_themselves(tmp_path: Path) -> None:
    data: dict[str, Any] = {"a": [1]}
    data["self"], data["twice"] = data, [data["a"]] * 2
    for _ in range(60):  # as a tree it would have 2^60 leaves
        data["twice"] = [data["twice"], data["twice"]]
    torch.save(data, tmp_path / "model.pt")
    found = load_pickle(tmp_path / "model.pt")
    assert found["self"] is found and found["twice"][0] is found["twice"][1]


def test_code_inside_a_config_is_refused(tmp_path: Path) -> None:
    omegaconf = pytest.importorskip("omegaconf")
    config = omegaconf.OmegaConf.create({"a": 1}, flags={"allow_objects": True})
    config.code = Payload(tmp_path / "ran")
    torch.save({"cfg": config, "model": {}}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="can run any program"):
        load_pickle(tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()
