"""What every format shares: a checked config, and an encoder filled without a key to spare."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.config import SSLConfig, dense_layers
from espnet_prune.encoder.model import SSLEncoder
from espnet_prune.encoder.typed import shown
from espnet_prune.storage.checkpoint import empty_encoder, fill, require_tensors

logger = logging.getLogger(__name__)

Converted = TypeVar("Converted")
Values = Mapping[str, Any]
Table = Mapping[str, str | tuple[str, ...]]
"""From our module or parameter to the source's; ``N`` is the index of a layer, several sources
are joined along the first axis."""
Weights = tuple[Mapping[str, Tensor], Table, Mapping[str, str]]
"""The source's tensors, where ours are among them, and which have no place here."""
_NEW_NAMES = {
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}


class Layout(NamedTuple):
    """How transformers keeps the encoders of a family, for the importer and the exporter alike.

    Attributes:
        model: transformers' class.
        table: from our names to its own, without what models with a head have before them.
        read: our config of its config's values and its preprocessor's (None: there is none); the
            source is for errors.
        select: what of a model's tensors makes the encoder of a config.
        write: the values of its config, but for class and family, and of its preprocessor.
        obstacles: why it has no model of a config, beyond what holds for all.
    """

    model: str
    table: Table
    read: Callable[[Values, Values | None, object], SSLConfig]
    select: Callable[[SSLConfig, Mapping[str, Tensor], object], Weights]
    write: Callable[[SSLConfig], tuple[Values, Values]]
    obstacles: Callable[[SSLConfig], Iterator[str]] = lambda _: iter(())


def convert_config(
    values: Values, supported: Values, convert: Callable[[Values], Converted], source: object
) -> Converted:
    """``convert`` a source's config, whose ``supported`` keys must have the values given there.

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


def translated(values: Values, fields: Mapping[str, str]) -> dict[str, Any]:
    """Those of ``values`` that ``fields`` lists, from our names to the source's, by our names."""
    return {ours: values[theirs] for ours, theirs in fields.items()}


def dense_shape(layers: int, ffn: int, fields: Mapping[str, Any], **others: Any) -> SSLConfig:
    """The config of a model with every head, which ``embed_dim`` is divided among."""
    heads = fields["num_heads"]
    return SSLConfig(
        layers=dense_layers(layers, heads, ffn),
        head_dim=fields["embed_dim"] // heads,
        **fields,
        **others,
    )


def assume_normalized(layer_norms: bool, source: object, lacking: str) -> bool:
    """Whether waveforms are normalised, where nothing but the norms of the front end tells."""
    logger.info(
        "%s: %s; waveforms are %s, as in the published models with such a front end",
        source,
        lacking,
        "normalized" if layer_norms else "not normalized",
    )
    return layer_norms


def build_encoder(
    config: SSLConfig,
    state: Mapping[str, Tensor],
    table: Table,
    dropped: Mapping[str, str],
    source: object,
    lost: tuple[str, ...] = (),
) -> SSLEncoder:
    """Build an encoder of ``config``, in eval mode, as :func:`convert_state` fills it.

    Tensors of ours whose names end as ``lost`` tells are not in ``state``, and zero.
    """
    encoder = empty_encoder(config)
    ours = encoder.state_dict()
    zeros = {name: torch.zeros(ours.pop(name).shape) for name in [*ours] if name.endswith(lost)}
    filled = convert_state(ours, new_weight_norm(state), table, dropped, source)
    return fill(encoder, {**filled, **zeros}, source)


def convert_state(
    ours: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    table: Table,
    dropped: Mapping[str, str],
    source: object,
) -> dict[str, Tensor]:
    """The tensors of ``ours``, by name and of that shape, each taken from ``state``.

    ``table`` tells where from, and ``dropped`` which modules and tensors of the source have no
    place here, and why.

    Raises:
        CheckpointError: names the keys that are missing, surplus or of another shape.
    """
    keys = {name: source_keys(name, table) for name in ours}
    shapes: dict[str, torch.Size] = {}
    for name, parameter in ours.items():
        part = parameter.chunk(len(keys[name]))[0] if parameter.dim() else parameter
        shapes.update(dict.fromkeys(keys[name], part.shape))
    taken = {
        key: _reshaped(value, shapes.get(key))
        for key, value in state.items()
        if key in shapes or not _is_dropped(key, dropped, source)
    }
    require_tensors(shapes, taken, source)
    parts = {name: [taken[key] for key in keys[name]] for name in ours}
    return {name: torch.cat(each) if each[1:] else each[0] for name, each in parts.items()}


def source_state(ours: Mapping[str, Tensor], table: Table) -> dict[str, Tensor]:
    """The source's tensors that :func:`convert_state` makes ``ours`` of, but for axes of size 1."""
    state: dict[str, Tensor] = {}
    for name, value in ours.items():
        keys = source_keys(name, table)
        state.update(zip(keys, value.chunk(len(keys)), strict=True))
    return state


def source_keys(name: str, table: Table) -> tuple[str, ...]:
    """The source's tensors that make up our ``name``; joined along the first axis."""
    layer = re.search(r"layers\.(\d+)\.", name)
    index = layer[1] if layer else ""
    generic = name.replace(f"layers.{index}.", "layers.N.", 1)
    module, _, leaf = generic.rpartition(".")
    row, ending = (table[generic], "") if generic in table else (table[module], f".{leaf}")
    return tuple(each.replace(".N.", f".{index}.") + ending for each in _listed(row))


def renamed(table: Table, rename: Callable[[str], str]) -> Table:
    """``table`` with the names of the source changed."""
    return {ours: tuple(map(rename, _listed(row))) for ours, row in table.items()}


def new_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``state`` with PyTorch's old spelling of a weight norm (``weight_g``) turned into the new."""
    new = {}
    for key, value in state.items():
        module, dot, leaf = key.rpartition(".")
        spelled = f"{module}{dot}{_NEW_NAMES.get(leaf, leaf)}"
        new[key if spelled in state else spelled] = value
    return new


def _listed(row: str | tuple[str, ...]) -> tuple[str, ...]:
    return (row,) if isinstance(row, str) else row


def _reshaped(value: Tensor, shape: torch.Size | None) -> Tensor:
    # The sources keep WavLM's gate constants as (1, H, 1, 1), we as (H,).
    if shape is None or [n for n in value.shape if n != 1] != [n for n in shape if n != 1]:
        return value
    return value.reshape(shape)


def _is_dropped(key: str, dropped: Mapping[str, str], source: object) -> bool:
    for module, reason in dropped.items():
        if key == module or key.startswith(f"{module}."):
            logger.info("%s: leaving out %s, which %s", source, key, reason)
            return True
    return False
