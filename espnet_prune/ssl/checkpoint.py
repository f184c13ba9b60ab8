"""One folder per model, ``config.json`` beside ``model.safetensors``, loaded strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from espnet_prune.ssl.config import ConfigError, SSLConfig
from espnet_prune.ssl.files import atomic_write
from espnet_prune.ssl.model import SSLEncoder
from espnet_prune.ssl.model_card import CARD, UNNAMED, is_unedited, model_card
from espnet_prune.ssl.safetensors import CheckpointError, load_file, save_file
from espnet_prune.ssl.sparse import pack, unpack

_CONFIG, _WEIGHTS = "config.json", "model.safetensors"
_ENCODER = "ssl_encoder"
_INTEGERS = re.compile(r"\[[\s\d,]+\]")  # one line for each list of kept indices


def save_folder(
    folder: str | PathLike[str], kind: str, config: Mapping[str, Any], state: Mapping[str, Tensor]
) -> None:
    """Write a model of ``kind`` to ``folder``: the weights first, so that a config has weights."""
    folder = Path(folder)
    save_file(state, folder / _WEIGHTS)
    text = json.dumps({"kind": kind, **config}, indent=1)
    atomic_write(folder / _CONFIG, _INTEGERS.sub(lambda m: " ".join(m[0].split()), text) + "\n")


def load_folder(folder: str | PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The config and the weights of a model of ``kind``.

    Raises:
        CheckpointError: the folder is missing, damaged, or holds another kind of model.
    """
    path = Path(folder) / _CONFIG
    try:
        config = json.loads(path.read_text())
        found = config.pop("kind", None)
    except OSError as error:
        raise CheckpointError(
            f"{folder}: expected a folder with {_CONFIG} and {_WEIGHTS}, found no {_CONFIG} "
            f"({error.strerror}); pass a folder that save_pretrained or a recipe wrote"
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: expected a JSON object, found {error!r}") from error
    if found != kind:
        raise CheckpointError(
            f"{path}: expected a {kind}, found "
            + (f"a {found}" if found else "no 'kind': convert a foreign checkpoint first")
        )
    return config, unpack(load_file(Path(folder) / _WEIGHTS))


def load_strictly(
    model: nn.Module, state: Mapping[str, Tensor], source: object, assign: bool = False
) -> None:
    """Copy ``state`` into ``model``, or hand it over; every key and shape must match.

    Raises:
        CheckpointError: names the keys that are missing, surplus or of another shape.
    """
    expected = model.state_dict()
    state = {k: v.to(expected[k].dtype) if k in expected else v for k, v in state.items()}
    try:
        model.load_state_dict(state, strict=True, assign=assign)
    except RuntimeError as error:
        raise CheckpointError(f"{source}: weights and config do not fit: {error}") from error


def save_encoder(
    encoder: SSLEncoder, folder: str | PathLike[str], name: str = UNNAMED, sparse: bool = False
) -> None:
    """Write ``encoder`` to ``folder``, and a model card unless somebody wrote the one there.

    ``name`` is what the card loads the encoder by; ``sparse`` leaves the zeros out of weights that
    have many.
    """
    state = encoder.state_dict()
    save_folder(folder, _ENCODER, encoder.config.to_dict(), pack(state) if sparse else state)
    card = Path(folder) / CARD
    if not card.exists() or is_unedited(card.read_text(encoding="utf-8", errors="replace")):
        num_params = sum(parameter.numel() for parameter in encoder.parameters())
        atomic_write(card, model_card(encoder.config, num_params, name))


def load_encoder(folder: str | PathLike[str]) -> SSLEncoder:
    """Read what :func:`save_encoder` wrote, in eval mode.

    Raises:
        CheckpointError: see :func:`load_folder` and :func:`load_strictly`.
    """
    return restore_encoder(*load_folder(folder, _ENCODER), folder)


def restore_encoder(
    values: Mapping[str, Any], state: Mapping[str, Tensor], folder: str | PathLike[str]
) -> SSLEncoder:
    """The encoder of a config and weights that ``folder`` holds, in eval mode.

    Raises:
        CheckpointError: the config describes no encoder; see :func:`load_strictly`.
    """
    try:
        encoder = empty_encoder(SSLConfig.from_dict(values))
    except ConfigError as error:
        raise CheckpointError(f"{folder}/{_CONFIG}: {error}") from error
    load_strictly(encoder, state, folder, assign=True)
    return encoder.eval()


def empty_encoder(config: SSLConfig) -> SSLEncoder:
    """An encoder of ``config`` that waits for its values, in no time and memory."""
    with _WithoutValues():
        return SSLEncoder(config)


class _WithoutValues(TorchFunctionMode):
    """Within it ``torch.nn.init`` does nothing, so that modules leave their memory untouched."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if getattr(function, "__module__", None) == nn.init.__name__:
            return kwargs.get("tensor", *args[:1])
        return function(*args, **kwargs)
