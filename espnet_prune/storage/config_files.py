"""Files of values that users or programs wrote: YAML, alone or over a base, JSON and TOML."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache, reduce
from pathlib import Path
from typing import Any

from espnet_prune.encoder.typed import ConfigError, shown
from espnet_prune.storage.recipes import recipe_path

_BASE = "base"  # the key that names other files, whose values stand unless they are replaced
_RECIPE = "recipe:"  # begins what names a recipe instead
# Configurations are pages long; a file beyond this is something else.
_MAX_BYTES = 64 << 20


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The object that a JSON file holds; ConfigError if it is missing or holds something else."""
    return _require_mapping(_parsed(path, "a JSON file", json.loads), path)


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The tables of a TOML file; ConfigError if it is missing or holds something else."""
    try:
        toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    except ImportError as error:
        raise ConfigError(f"{path}: on Python 3.10 needs tomli: pip install tomli") from error
    return _parsed(path, "a TOML file", lambda data: toml.loads(data.decode()))


def read_yaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The values of a YAML file, over those of the files that its key ``base`` names.

    The path of a base starts at the folder of the file that names it; ``recipe:NAME`` is a recipe
    of this package. Of several, later ones go over earlier ones. Mappings are merged key by key,
    however deep; everything else replaces what the base has. Numbers are those of YAML 1.2,
    ``1e-3`` among them. An empty file has no values.

    Raises:
        ConfigError: a file is missing, unreadable, or no mapping, or bases go round in a circle.
    """
    return _read_layers(Path(path), ())


def _read_layers(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in above:
        raise ConfigError(f"{path}: expected another file as base, found one that leads back here")
    named = f"a YAML file (base of {above[-1]})" if above else "a YAML file"
    values = parse_yaml(_read_bytes(path, named), path, named)
    values = _require_mapping({} if values is None else values, path)
    bases = values.pop(_BASE, None)
    listed = [] if bases is None else [bases] if isinstance(bases, str) else bases
    if not (isinstance(listed, list) and all(isinstance(each, str) for each in listed)):
        raise ConfigError(
            f"{path}: {_BASE}: expected the path of a YAML file, {_RECIPE}NAME, or a list of "
            f"these, found {shown(bases)}"
        )
    above = (*above, path.resolve())
    layers = [_read_layers(_base(path, each), above) for each in listed]
    return reduce(merged, [*layers, values])


def _base(path: Path, name: str) -> Path:
    if not name.startswith(_RECIPE):
        return path.parent / name
    try:
        return recipe_path(name.removeprefix(_RECIPE))
    except ConfigError as error:
        raise ConfigError(f"{path}: {_BASE}: {error}") from error


def parse_yaml(text: bytes | str, where: object, named: str = "YAML") -> Any:
    """The value that a YAML text describes; numbers are those of :func:`read_yaml`.

    Raises:
        ConfigError: it does not parse; names ``where`` it is from and what it should be.
    """
    import yaml

    try:
        return yaml.load(text, _loader())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or _first_line(error)
        raise ConfigError(
            f"{where}{line}: expected {named}, found one that cannot be read ({problem}); "
            "correct it"
        ) from error


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``changes`` over ``base``, as :func:`read_yaml` merges them."""
    values = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(values.get(key), Mapping)
        values[key] = merged(values[key], value) if both else value
    return values


def _parsed(
    path: str | os.PathLike[str], what: str, parse: Callable[[bytes], Any]
) -> dict[str, Any]:
    data = _read_bytes(path, what)
    try:
        return parse(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path}: expected {what}, found something else ({_first_line(error)})"
        ) from error


def _read_bytes(path: str | os.PathLike[str], what: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{path}: expected {what}, found none: {error.strerror}; correct the path"
        ) from error
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{path}: expected {what}, found more than {_MAX_BYTES} bytes")
    return data


def _require_mapping(values: object, path: str | os.PathLike[str]) -> dict[str, Any]:
    if isinstance(values, dict) and all(isinstance(key, str) for key in values):
        return values
    raise ConfigError(
        f"{path}: expected values by name, found {_what(values)}; write each value behind its name"
    )


def _what(values: object) -> str:
    kind = "a list, " if isinstance(values, list) else ""
    return kind + shown(values)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


@cache
def _loader() -> type:
    """PyYAML's safe loader, which does not know that ``1e-3`` is a number."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Safe, with the floats of YAML 1.2."""

    number = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789."))
    return Loader
