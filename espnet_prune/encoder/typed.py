"""Values that users write, read by the annotations of the dataclass that they describe."""

from __future__ import annotations

import contextlib
import difflib
import functools
import inspect
import reprlib
import sys
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_MAX_LISTED = 30
_LARGEST = sys.float_info.max


class ConfigError(ValueError):
    """A configuration that describes nothing; the message lists every problem.

    Example:
        >>> from espnet_prune import PRESETS, SSLConfig
        >>> from espnet_prune.encoder import ConfigError
        >>> values = PRESETS["whisper_tiny_en"]().to_dict()
        >>> try:
        ...     SSLConfig.from_dict(values | {"embed_dim": 0})
        ... except ConfigError as error:
        ...     print(error)
        this is no encoder configuration: expected embed_dim from 4 to 1000000, found 0
    """


def read_typed(cls: type[T], values: object, where: object = "") -> T:
    """Make an instance of a dataclass of keyword arguments as they stand in YAML or JSON.

    Texts that are numbers count as such (YAML 1.1 takes ``1e-3`` for text), lists become tuples,
    mappings the dataclasses that fields are annotated with. Nothing else is converted.

    Raises:
        ConfigError: names every key that is unknown or missing or whose value is of another type,
            or is what ``cls`` itself raises, behind ``where``, the file or option of ``values``.
    """
    try:
        return cls(**read_arguments(cls, values))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}" if where else str(error)) from error


def read_arguments(
    function: Callable[..., Any], values: object, where: object = ""
) -> dict[str, Any]:
    """Keyword arguments of any ``function`` or class, read as :func:`read_typed` reads them."""
    problems: list[str] = []
    built = _arguments(function, values, "", problems)
    if problems:
        message = shortened(problems, separator="; ")
        raise ConfigError(f"{where}: {message}" if where else message)
    return built


def settle_types(instance: Any) -> None:
    """Hold a dataclass's instance to its annotations, from its ``__post_init__``.

    Values become what :func:`read_typed` makes of them, or a ConfigError names every other.
    """
    for name, value in read_arguments(type(instance), vars(instance)).items():
        object.__setattr__(instance, name, value)


def check_name(kind: str, name: object, known: Collection[str]) -> None:
    """Raise ConfigError unless ``name`` is one of those ``known``, which the message lists."""
    if not isinstance(name, str) or name not in known:
        raise ConfigError(f"expected {kind} of {', '.join(known)}, found {shown(name)}")


def similar(name: str, known: Collection[str]) -> str:
    """What a message adds to an unknown name: a close one of those known, or all of a few."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return (
        "known: "
        + ", ".join(sorted(known)[:_MAX_LISTED])
        + (", ..." if len(known) > _MAX_LISTED else "")
    )


def shortened(texts: Sequence[str], limit: int = 8, separator: str = ", ") -> str:
    """The first ``limit`` of ``texts``, and how many there are beyond, for a message."""
    rest = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return separator.join(texts[:limit]) + rest


def shown(value: object) -> str:
    """``value`` for a message, however large it is."""
    return reprlib.repr(value)


class _Mismatch(Exception):
    """A value that is not what its annotation asks for; the message says what that is."""


_hints = functools.cache(get_type_hints)
_NAMES = {bool: "true or false", str: "a text", int: "a whole number", float: "a number",
          type(None): "nothing"}  # fmt: skip


def _arguments(
    function: Callable[..., Any], values: object, path: str, problems: list[str]
) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        problems.append(f"{path or 'it'}: expected values by name, found {shown(values)}")
        return {}
    hints = _hints(function if inspect.isfunction(function) else function.__init__)
    known = inspect.signature(function).parameters
    prefix = f"{path}." if path else ""
    built: dict[str, Any] = {}
    for key, value in values.items():
        if key in known:
            built[key] = _item(hints.get(key, Any), value, f"{prefix}{key}", problems)
        else:
            problems.append(f"unknown key {prefix}{key} ({similar(str(key), known)})")
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in values:
            problems.append(f"{prefix}{name}: expected a value, found none")
    return built


def _item(hint: Any, value: Any, path: str, problems: list[str]) -> Any:
    """``value`` as ``hint`` asks for it, or a problem and None."""
    try:
        return _convert(hint, value, path, problems)
    except _Mismatch as mismatch:
        problems.append(f"{path}: expected {mismatch}, found {shown(value)}")
        return None


def _convert(hint: Any, value: Any, path: str, problems: list[str]) -> Any:
    """As :func:`_item`, but the value itself may mismatch: only what is inside is a problem."""
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        return _first_fit(inner, value, path, problems)
    if origin is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in inner):
            raise _Mismatch(" or ".join(map(repr, inner)))
        return value
    if is_dataclass(origin):
        return _instance(origin, value, path, problems)
    if origin in (tuple, list, Sequence):
        if not isinstance(value, list | tuple):
            raise _Mismatch("a list")
        of = inner[0] if inner else Any
        items = (_item(of, v, f"{path}[{i}]", problems) for i, v in enumerate(value))
        return list(items) if origin is list else tuple(items)
    if inner and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _Mismatch("values by name")
        return {
            _convert(inner[0], key, f"{path}.{key}", problems): _item(
                inner[1], item, f"{path}.{key}", problems
            )
            for key, item in value.items()
        }
    return _scalar(hint, value)


def _first_fit(hints: tuple[Any, ...], value: Any, path: str, problems: list[str]) -> Any:
    expected = []
    for hint in hints:
        found: list[str] = []
        try:
            converted = _convert(hint, value, path, found)
        except _Mismatch as mismatch:
            expected.append(str(mismatch))
            continue
        if not found:
            return converted
        expected.append("; ".join(found))
    raise _Mismatch(" or ".join(expected))


def _instance(cls: Any, value: Any, path: str, problems: list[str]) -> Any:
    if isinstance(value, cls):
        return value
    before = len(problems)
    built = _arguments(cls, value, path, problems)
    try:
        return cls(**built) if len(problems) == before else None
    except ConfigError as error:
        problems.append(f"{path}: {error}")
        return None


def _scalar(hint: Any, value: Any) -> Any:
    if hint is Any:
        return value
    if hint in (float, int):
        return _number(hint, value)
    if not isinstance(value, hint):
        raise _Mismatch(_NAMES.get(hint, f"a {hint.__name__}"))
    return value


def _number(kind: type, value: Any) -> float | int:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Mismatch(_NAMES[kind])
    # NaN is in no range.
    if not -_LARGEST <= value <= _LARGEST or (kind is int and value != int(value)):
        raise _Mismatch(_NAMES[kind])
    return kind(value)
