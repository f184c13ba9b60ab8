"""ESPnet's parser of options, whose ``--config`` may name a ``base`` and is read by type.

Under it lies the recipe that ``--recipe`` names.
"""

from __future__ import annotations

import argparse
import ast
import math
import re
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from espnet2.utils import config_argparse
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import str2bool

from espnet_prune.encoder.typed import ConfigError, shortened, shown, similar
from espnet_prune.storage.config_files import merged, parse_yaml, read_yaml
from espnet_prune.storage.recipes import recipe_names, recipe_path

RECIPE = "recipe"
"""The option that names a recipe, of commands that prune."""
_EXPECTED = {int: "a whole number", float: "a number", str2bool: "true or false"}
_INNER_KEY = re.compile(r"([\w.]+)=(.*)", re.DOTALL)


class LayeredArgumentParser(config_argparse.ArgumentParser):
    """ESPnet's parser, whose ``--config`` may be layered; what is wrong is told in one line."""

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        # Past ESPnet's own method, which would read the file without its base.
        plain = argparse.ArgumentParser.parse_known_args
        given, _ = plain(self, args, namespace)
        values = {} if given.config is None else self._read(given.config)
        named = {x for x in (getattr(given, RECIPE, None), values.get(RECIPE)) if x is not None}
        if len(named) > 1:
            raise ConfigError(
                f"expected one recipe, found {' and '.join(map(str, named))}; drop one"
            )
        for name in named:
            values = merged(self._read(recipe_path(name)), values)
        self.set_defaults(**values)
        return plain(self, args, namespace)

    def error(self, message: str):
        """Without the usage, whose hundreds of lines would hide the message."""
        self.exit(2, f"{self.prog}: {message}; --help lists the options\n")

    def _read(self, path: str | PathLike[str]) -> dict[str, Any]:
        actions = {action.dest: action for action in self._actions}
        values: dict[str, Any] = {}
        problems = []
        for key, value in read_yaml(path).items():
            if key not in actions:
                problems.append(f"unknown option {key} ({similar(key, actions)})")
                continue
            try:
                values[key] = _typed(actions[key], value)
            except ValueError as error:
                problems.append(f"{key}: expected {error}, found {shown(value)}")
        if problems:
            raise ConfigError(f"{path}: {shortened(problems, separator='; ')}")
        return values


class _YAMLAction(NestedDictAction):
    """ESPnet's ``key=value`` and ``{key: value}``, with the numbers of YAML 1.2 and no ``eval``."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        inner = _INNER_KEY.fullmatch(values)
        now = getattr(namespace, self.dest, None)
        now = now if isinstance(now, dict) else {}
        try:
            if inner:
                value = parse_yaml(inner[2], shown(values)) if inner[2].strip() else inner[2]
                changed = _with(now, inner[1].split("."), value)
            else:
                changed = {**now, **_mapping(values)}
        except ConfigError as error:
            raise argparse.ArgumentError(self, str(error)) from error
        setattr(namespace, self.dest, changed)


def layered(parser: config_argparse.ArgumentParser) -> LayeredArgumentParser:
    """Let the ``--config`` of an ESPnet task's parser be layered, and read all values by type."""
    # ESPnet makes its parser itself, and leaves no other way in.
    parser.__class__ = LayeredArgumentParser
    if parser.get_default("pruning_conf") is not None:
        help_ = (
            f"Options of a published method, under those of --config: {', '.join(recipe_names())}"
        )
        parser.add_argument(
            f"--{RECIPE}", metavar="NAME", help=f"{help_}; see espnet-prune explain"
        )
    for action in parser._actions:
        if isinstance(action, NestedDictAction):
            action.__class__ = _YAMLAction
    return parser


def _mapping(text: str) -> dict[str, Any]:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = parse_yaml(text, shown(text))
    if not isinstance(value, dict):
        raise ConfigError(f"expected key=value or {{key: value}}, found {shown(text)}")
    return value


def _with(base: object, keys: Sequence[str], value: Any) -> dict[str, Any]:
    """A copy of ``base`` with ``value`` at the end of ``keys``."""
    base = base if isinstance(base, dict) else {}
    inner = _with(base.get(keys[0]), keys[1:], value) if keys[1:] else value
    return {**base, keys[0]: inner}


def _typed(action: argparse.Action, value: Any) -> Any:
    """What the command line would make of a ``value`` of a file; errors say what is expected."""
    if isinstance(action, NestedDictAction):
        if value is not None and not isinstance(value, Mapping):
            raise ValueError("values by name")
        return value
    many = isinstance(action, argparse._AppendAction) or bool(action.nargs)
    if isinstance(value, list) and (many or not (action.type in _EXPECTED or action.choices)):
        return [v if isinstance(v, list) else _scalar(action, v) for v in value]
    if many and (isinstance(value, str) or (value is None and action.default is not None)):
        raise ValueError("a list")
    return _scalar(action, value)


def _scalar(action: argparse.Action, value: Any) -> Any:
    expected = _EXPECTED.get(action.type, "what --help says")
    if action.choices:
        expected = "one of " + shortened([str(c) for c in action.choices], 30)
    if value is None and (action.default is None or action.type not in _EXPECTED):
        return None
    if value is None or isinstance(value, Mapping | list):
        raise ValueError(expected)
    try:
        read = action.type(str(value)) if callable(action.type) else value
    except Exception as error:  # types of options raise anything
        raise ValueError(expected) from error
    unlisted = action.choices and read is not None and read not in action.choices
    if unlisted or (isinstance(read, float) and math.isnan(read)):
        raise ValueError(expected)
    return read if isinstance(value, str) else value
