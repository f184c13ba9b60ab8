"""What every importer shares: a checked config, and an encoder filled without a key to spare."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.config import SSLConfig
from espnet_prune.encoder.model import SSLEncoder
from espnet_prune.encoder.typed import shown
from espnet_prune.storage.checkpoint import empty_encoder, fill, require_tensors

logger = logging.getLogger(__name__)

Converted = TypeVar("Converted")
Table = Mapping[str, str | tuple[str, ...]]
"""From our module or parameter to the source's; ``N`` is the index of a layer, several sources
are joined along the first axis."""


def convert_config(
    values: Mapping[str, Any],
    supported: Mapping[str, Any],
    convert: Callable[[Mapping[str, Any]], Converted],
    source: object,
) -> Converted:
    """Translate a source's config.

    Args:
        values: the source's config.
        supported: the only value of each of these keys that our encoder computes.
        convert: makes our config of ``values``.
        source: named in errors.

    Raises:
        CheckpointError: a value is missing, impossible or not supported.
    """
    for key, value in supported.items():
        if (found := values.get(key)) != value:
            raise CheckpointError(
                f"{source}: expected {key} = {value!r} in the config, found {shown(found)}; such "
                "a model cannot be imported"
            )
    try:
        return convert(values)
    except KeyError as error:
        raise CheckpointError(f"{source}: expected {error} in the config, found none") from error
    except (TypeError, AttributeError, IndexError, ValueError, ArithmeticError) as error:
        raise CheckpointError(f"{source}: the config describes no encoder: {error}") from error


def build_encoder(
    config: SSLConfig,
    state: Mapping[str, Tensor],
    table: Table,
    dropped: Mapping[str, str],
    source: object,
) -> SSLEncoder:
    """Build an encoder of ``config``, in eval mode, with every parameter taken from ``state``.

    Args:
        config: of the dense model that ``state`` belongs to.
        state, table, dropped, source: see :func:`convert_state`.

    Raises:
        CheckpointError: names the keys that are missing, surplus or of another shape.
    """
    encoder = empty_encoder(config)
    filled = convert_state(encoder.state_dict(), state, table, dropped, source)
    return fill(encoder, filled, source)


def convert_state(
    ours: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    table: Table,
    dropped: Mapping[str, str],
    source: object,
) -> dict[str, Tensor]:
    """The tensors of ``ours``, by name, each taken from ``state``.

    Args:
        ours: tensors of the shapes expected.
        state: the source's tensors.
        table: where each of ours comes from.
        dropped: the source's modules and tensors that have no place here, and why.
        source: named in errors.

    Raises:
        CheckpointError: names the keys that are missing, surplus or of another shape.
    """
    filled: dict[str, Tensor] = {}
    missing: list[str] = []
    misshapen: list[str] = []
    unused = dict.fromkeys(state)
    for name, parameter in ours.items():
        keys = source_keys(name, table)
        shape = parameter.chunk(len(keys))[0].shape if parameter.dim() else parameter.shape
        parts = []
        for key in keys:
            unused.pop(key, None)
            if key not in state:
                missing.append(key)
            elif _without_ones(state[key].shape) != _without_ones(shape):
                misshapen.append(f"{key} {tuple(state[key].shape)} instead of {tuple(shape)}")
            else:
                parts.append(state[key].reshape(shape))
        if len(parts) == len(keys):
            filled[name] = torch.cat(parts) if len(parts) > 1 else parts[0]
    surplus = [key for key in unused if not _is_dropped(key, dropped, source)]
    require_tensors(missing, surplus, misshapen, source)
    return filled


def source_keys(name: str, table: Table) -> tuple[str, ...]:
    """The source's tensors that make up our ``name``; joined along the first axis."""
    layer = re.search(r"layers\.(\d+)\.", name)
    index = layer[1] if layer else ""
    generic = name.replace(f"layers.{index}.", "layers.N.", 1)
    module, _, leaf = generic.rpartition(".")
    row, ending = (table[generic], "") if generic in table else (table[module], f".{leaf}")
    rows = (row,) if isinstance(row, str) else row
    return tuple(each.replace(".N.", f".{index}.") + ending for each in rows)


def new_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``state`` with PyTorch's old spelling of a weight norm (``weight_g``) turned into the new."""
    new = {}
    for key, value in state.items():
        renamed = key
        for old, number in (("weight_g", 0), ("weight_v", 1)):
            if key.endswith(f".{old}"):
                renamed = f"{key.removesuffix(old)}parametrizations.weight.original{number}"
        new[key if renamed in state else renamed] = value
    return new


def without_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """``state`` with ``prefix`` taken off the keys that have it; the others stay as they are."""
    return {key.removeprefix(prefix): value for key, value in state.items()}


def _without_ones(shape: torch.Size) -> list[int]:
    # The sources keep WavLM's gate constants as (1, H, 1, 1), we as (H,).
    return [size for size in shape if size != 1]


def _is_dropped(key: str, dropped: Mapping[str, str], source: object) -> bool:
    for module, reason in dropped.items():
        if key == module or key.startswith(f"{module}."):
            logger.info("%s: leaving out %s, which %s", source, key, reason)
            return True
    return False
