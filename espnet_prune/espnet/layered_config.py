"""Short configurations over a base: a YAML file with ``base: other.yaml`` says what differs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from espnet2.utils import config_argparse

from espnet_prune.ssl import ConfigError

BASE = "base"


def read_layered(path: str | Path) -> dict[str, Any]:
    """The options of a YAML file, over those of the file that its key ``base`` names.

    The path of a base starts at the folder of the file that names it. Mappings are merged key by
    key, however deep; everything else replaces what the base has.

    Raises:
        ConfigError: a file is missing or no mapping, or bases go round in a circle.
    """
    return _read(Path(path), ())


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in above:
        raise ConfigError(f"{path}: expected another file as base, found one that leads back here")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        named = f" (base of {above[-1]})" if above else ""
        raise ConfigError(f"{path}{named}: expected a YAML file, found none: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected options by name, found {values!r}")
    base = values.pop(BASE, None)
    if base is None:
        return values
    return _merged(_read(path.parent / base, (*above, path.resolve())), values)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


class LayeredArgumentParser(config_argparse.ArgumentParser):
    """ESPnet's parser, whose ``--config`` may be layered."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As usual; what the file says are defaults."""
        # Past ESPnet's own method, which would read the file without its base.
        plain = argparse.ArgumentParser.parse_known_args
        given, _ = plain(self, args, namespace)
        if given.config is not None:
            values = read_layered(given.config)
            known = {action.dest for action in self._actions}
            if unknown := [key for key in values if key not in known]:
                self.error(f"unrecognized arguments: {', '.join(unknown)} (from {given.config})")
            self.set_defaults(**values)
        return plain(self, args, namespace)


def layered(parser: config_argparse.ArgumentParser) -> LayeredArgumentParser:
    """Let the ``--config`` of an ESPnet task's parser be layered."""
    # ESPnet makes its parser itself, and leaves no other way in.
    parser.__class__ = LayeredArgumentParser
    return parser
