"""Read PyTorch files as data only: a pickle that would run code is refused.

fairseq's files hold configs of OmegaConf, scalars of NumPy and paths beside their weights. Classes
without behaviour stand in for these while the file is read, whether or not the libraries are
installed; what comes out are plain values.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from argparse import Namespace
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.storage.sniffing import PYTORCH, require_kind

_INTERPOLATION = re.compile(r"\$\{([\w.]+)\}")


class Inert:
    """Stands in for a class: it keeps what it was made of, and does nothing."""

    args: tuple[Any, ...] = ()
    state: Any = None

    def __init__(self, *args: object) -> None:
        self.args = args

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Labels:
    """fairseq's ``Dictionary``, which HuBERT's files hold beside the weights."""


class _Node(Inert):
    """OmegaConf's configs, their nodes and what describes these."""


# By the code of NumPy's dtype.
_DTYPES = {"f2": torch.half, "f4": torch.float, "f8": torch.double, "b1": torch.bool,
           "u1": torch.uint8, "i1": torch.int8, "i2": torch.int16, "i4": torch.int32,
           "i8": torch.int64}  # fmt: skip


class _Dtype(Inert):
    """NumPy's dtypes: a code such as ``f8``, and a state that begins with the byte order."""

    def read(self, data: object) -> Tensor | str | bytes | None:
        """What bytes are under this dtype; None for those that nothing here needs."""
        code, order = str(self.args[0]), self.state[1] if self.state else "<"
        if not isinstance(data, bytes) or not data or order == ">":
            return None
        if code in _DTYPES:
            return torch.frombuffer(bytearray(data), dtype=_DTYPES[code])
        return data.decode("utf-32-le") if code.startswith("U") else data


class _Array(Inert):
    """NumPy's arrays."""

    def read(self) -> object:
        """The tensor; None of an array that nothing here needs."""
        _, shape, dtype, fortran, data = self.state
        found = dtype.read(data)
        return found.view(shape) if isinstance(found, Tensor) and not fortran else None


def _scalar(dtype: _Dtype, data: object) -> object:
    found = dtype.read(data)
    return found.item() if isinstance(found, Tensor) else found


def _path(*parts: str) -> str:
    return str(PurePosixPath(*parts))


# What is read beyond tensors and plain values. As pairs they are no entries that the rest of the
# process may have made, which thus stay.
_STAND_INS: dict[str, Callable[..., Any]] = {
    "argparse.Namespace": Namespace,
    "fairseq.data.dictionary.Dictionary": _Labels,
    **{f"omegaconf.{name}": _Node for name in (
        "dictconfig.DictConfig", "listconfig.ListConfig", "base.ContainerMetadata",
        "base.Metadata", "nodes.AnyNode", "nodes.StringNode", "nodes.IntegerNode",
        "nodes.FloatNode", "nodes.BooleanNode", "nodes.BytesNode", "nodes.EnumNode",
        "nodes.PathNode")},
    **{f"{module}.{name}": stand_in for module in ("numpy.core", "numpy._core")
       for name, stand_in in (("multiarray.scalar", _scalar), ("multiarray._reconstruct", _Array))},
    **{f"pathlib{inner}.{kind}Path": _path for inner in ("", "._local")
       for kind in ("", "Posix", "Windows", "PurePosix", "PureWindows")},
    "numpy.dtype": _Dtype,
    "numpy.ndarray": Inert,
    "collections.defaultdict": lambda *_: {},
    **{f"builtins.{kind}": Inert for kind in ("dict", "list", "str", "int", "float", "bool")},
    **{f"typing.{kind}": Inert for kind in ("Any", "List", "Dict", "Tuple", "Optional", "Union")},
}  # fmt: skip
# Whose classes configs name as their types.
_PACKAGES = ("fairseq.dataclass.", "fairseq.models.", "fairseq.tasks.", "fairseq.criterions.",
             "fairseq.optim.", "numpy.dtypes.")  # fmt: skip

# What ESPnet's trainer writes beside them: durations. For ``also`` of :func:`load_pickle`.
REPORTED: dict[str, Callable[..., Any]] = {"datetime.timedelta": timedelta}


def load_pickle(path: Path, also: Mapping[str, Callable[..., Any]] | None = None) -> Any:
    """Read tensors, plain values and the configs of fairseq from ``path`` to the CPU.

    ``also`` are stand-ins for further classes and functions, by their full names.

    Raises:
        CheckpointError: the file needs more than that, or it is damaged.
    """
    require_kind(path, PYTORCH)
    try:
        stand_ins = {**_STAND_INS, **dict.fromkeys(_named(path), Inert), **(also or {})}
        entries: Any = [(stand_in, name) for name, stand_in in stand_ins.items()]
        with torch.serialization.safe_globals(entries):
            return _plain(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        # torch puts its finding into lines of advice on how to run the file nevertheless.
        finding = str(error.__context__ or error).partition(" Please use ")[0].strip(".")
        raise CheckpointError(
            f"{path}: expected a PyTorch file of tensors and plain values, found one that is "
            f"damaged or needs more ({finding}); such a file can run any program while it is read, "
            "so it is not read: get it as safetensors, or with its config and weights alone"
        ) from error
    except Exception as error:  # Damaged pickles raise almost anything.
        finding = next(iter(str(error).splitlines()), "")
        raise CheckpointError(
            f"{path}: expected a PyTorch file, found one that cannot be read "
            f"({type(error).__name__}: {finding}); it may be truncated: copy or download it again"
        ) from error


def load_state(path: Path) -> Mapping[str, Tensor]:
    """Read a file of tensors by name; see :func:`load_pickle` and :func:`check_state`."""
    return check_state(load_pickle(path), path)


def check_state(state: object, path: Path) -> Mapping[str, Tensor]:
    """``state`` if it is a mapping from names to tensors; otherwise raise CheckpointError."""
    if isinstance(state, Mapping) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        for key, value in state.items():
            # Views may make one value a million.
            if value.layout == torch.strided and value.nbytes > value.untyped_storage().nbytes():
                raise CheckpointError(f"{path}: expected {key!r} whole, found a part of its values")
        return state
    raise CheckpointError(f"{path}: expected tensors by name, found {type(state).__name__}")


def _named(path: Path) -> list[str]:
    """The classes of fairseq that the file names as types of its configs."""
    if not zipfile.is_zipfile(path):  # of before 2020, when fairseq had no such configs
        return []
    found = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    return [name for name in found if name.startswith(_PACKAGES)]


def _plain(value: Any) -> Any:
    """``value`` with the stand-ins in it replaced by what they hold, in place where possible."""
    # By identity, beside the value itself, so that no other one gets its identity meanwhile.
    done: dict[int, tuple[Any, Any]] = {}
    references: list[tuple[Any, Any, Any, str]] = []

    def convert(value: Any, root: Any) -> Any:
        if id(value) not in done:
            done[id(value)] = value, value  # a container may hold itself
            done[id(value)] = value, converted(value, root)
        return done[id(value)][1]

    def converted(value: Any, root: Any) -> Any:
        if isinstance(value, _Node):
            content = value.state.get("_content", value.state.get("_val"))
            return convert(content, content if root is None else root)
        if isinstance(value, _Array):
            return value.read()
        if isinstance(value, Inert) and len(value.args) == 1:  # a member of an enumeration
            return convert(value.args[0], root)
        if isinstance(value, Namespace):
            convert(vars(value), root)
        elif isinstance(value, tuple) and type(value) is tuple:
            return tuple(convert(each, root) for each in value)
        elif isinstance(value, dict | list):
            for key in value if isinstance(value, dict) else range(len(value)):
                value[key] = convert(value[key], root)
                if isinstance(value[key], str) and (found := _INTERPOLATION.fullmatch(value[key])):
                    references.append((value, key, root, found[1]))
        return value

    value = convert(value, None)
    for holder, key, root, name in references:
        holder[key] = _referred(root, name, holder[key])
    return value


def _referred(root: Any, name: str, default: Any) -> Any:
    """What ``${name}`` stands for in a config of OmegaConf, ``default`` if nothing."""
    found = root
    for key in name.split("."):
        if not isinstance(found, dict) or key not in found:
            return default
        found = found[key]
    return found
