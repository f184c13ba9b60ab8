"""Numbers and settings on command lines, as types for argparse."""

from __future__ import annotations

import argparse
import math
from typing import Any

import yaml


def positive(text: str) -> int:
    """A whole number above zero."""
    return _whole(text, 1, math.inf, "a whole number above 0")


def natural(text: str) -> int:
    """A whole number, zero or above."""
    return _whole(text, 0, math.inf, "a whole number of 0 or more")


def port(text: str) -> int:
    """The number of a port of TCP; 0 stands for any that is free."""
    return _whole(text, 0, 2**16 - 1, "a port from 0 to 65535")


def seed(text: str) -> int:
    """A whole number, zero or above, that a generator takes."""
    return _whole(text, 0, 2**32 - 1, "a whole number from 0 to 2^32 - 1")


def amount(text: str) -> float:
    """A finite number, zero or above: seconds, percent."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of 0 or more, found {text!r}")
    return number


def key_value(text: str) -> tuple[str, Any]:
    """A setting, KEY=VALUE, whose value is YAML."""
    key, found, value = text.partition("=")
    try:
        return key, yaml.safe_load(value if key and found else "[")
    except yaml.YAMLError:
        raise argparse.ArgumentTypeError(
            f"expected KEY=VALUE with a value in YAML, found {text!r}"
        ) from None


def _whole(text: str, least: int, most: float, expected: str) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"expected {expected}, found {text!r}")
    return int(text)
