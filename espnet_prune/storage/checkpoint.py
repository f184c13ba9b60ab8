"""One folder per model, ``config.json`` beside ``model.safetensors``, loaded strictly."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from espnet_prune.encoder.checks import CheckpointError, require_finite
from espnet_prune.encoder.config import ConfigError, SSLConfig
from espnet_prune.encoder.front_end import ConvLayer
from espnet_prune.encoder.model import SSLEncoder
from espnet_prune.encoder.transformer import PositionalConv
from espnet_prune.encoder.typed import shortened
from espnet_prune.history import HISTORY, read_history
from espnet_prune.storage.auto_files import KEYS, without_auto_keys, write_auto_files
from espnet_prune.storage.config_files import read_json
from espnet_prune.storage.files import atomic_write
from espnet_prune.storage.hub import push_folder
from espnet_prune.storage.model_card import CARD, UNNAMED, is_unedited, model_card
from espnet_prune.storage.tensors import load_file, pack, save_file, unpack

CONFIG, _WEIGHTS = "config.json", "model.safetensors"
ENCODER = "ssl_encoder"
_INTEGERS = re.compile(r"\[[\s\d,]+\]")  # one line for each list of kept indices


def save_folder(
    folder: str | PathLike[str], kind: str, config: Mapping[str, Any], state: Mapping[str, Tensor]
) -> None:
    """Write a model of ``kind`` to ``folder``: the weights first, so that a config has weights."""
    folder = Path(folder)
    save_file(state, folder / _WEIGHTS)
    text = json.dumps({"kind": kind, **config}, indent=1)
    atomic_write(folder / CONFIG, _INTEGERS.sub(lambda m: " ".join(m[0].split()), text) + "\n")


def halved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``state`` in float16, but for its whole numbers; what loads it computes in its own type."""
    return {k: v.half() if v.is_floating_point() else v for k, v in state.items()}


def load_folder(folder: str | PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The config and the weights of a model of ``kind``; CheckpointError if there is none."""
    path = Path(folder) / CONFIG
    config = read_config(path)
    if (found := config.pop("kind", None)) != kind:
        raise CheckpointError(
            f"{path}: expected a {kind}, found "
            + (f"a {found}" if found else "no 'kind': convert a foreign checkpoint first")
        )
    return config, unpack(load_file(Path(folder) / _WEIGHTS))


def read_config(path: Path) -> dict[str, Any]:
    """The JSON object that stands beside a model's weights; CheckpointError if there is none."""
    try:
        return read_json(path)
    except ConfigError as error:
        raise CheckpointError(f"{error}; pass a folder of {CONFIG} and weights") from error


def load_strictly(
    model: nn.Module, state: Mapping[str, Tensor], source: object, assign: bool = False
) -> None:
    """Copy ``state`` into ``model``, or hand it over; every key and shape must match.

    Raises:
        CheckpointError: names the tensors that are missing, surplus, of another shape or kind, or
            the first one that is not finite.
    """
    expected = model.state_dict()
    require_tensors({name: ours.shape for name, ours in expected.items()}, state, source)
    require_finite(state, source)
    for name, ours in expected.items():
        if ours.is_floating_point() and not state[name].is_floating_point():
            raise CheckpointError(
                f"{source}: expected {name!r} of {ours.dtype}, found {state[name].dtype}"
            )
    state = {name: state[name].to(ours.dtype) for name, ours in expected.items()}
    model.load_state_dict(state, strict=True, assign=assign)


def require_tensors(
    shapes: Mapping[str, torch.Size], state: Mapping[str, Tensor], source: object
) -> None:
    """Raise CheckpointError unless ``state`` has tensors of these shapes and no others."""
    findings = {
        "missing": [name for name in shapes if name not in state],
        "surplus": [name for name in state if name not in shapes],
        "of another shape": [
            f"{name} {tuple(state[name].shape)} instead of {tuple(shape)}"
            for name, shape in shapes.items()
            if name in state and state[name].shape != shape
        ],
    }
    if problems := [f"{what}: {shortened(names)}" for what, names in findings.items() if names]:
        raise CheckpointError(
            f"{source}: expected the weights that the config describes and no others, found "
            f"tensors {'; '.join(problems)}; the file is damaged or of a kind not known here"
        )


def save_encoder(
    encoder: SSLEncoder, folder: str | PathLike[str], name: str = UNNAMED, sparse: bool = False
) -> None:
    """Write ``encoder`` to ``folder``, and a model card unless somebody wrote the one there.

    ``name`` is what the card loads the encoder by; ``sparse`` leaves the zeros out of weights that
    have many, which transformers does not read.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.storage import save_encoder
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_encoder(encoder, folder)
        ...     print(sorted(path.name for path in Path(folder).iterdir()))
        ['README.md', 'config.json', 'model.safetensors', 'modeling_espnet_prune.py', \
'preprocessor_config.json']
    """
    state, config = encoder.state_dict(), {**encoder.config.to_dict(), **kept_history(encoder)}
    if sparse:
        save_folder(folder, ENCODER, config, pack(state))
    else:
        save_folder(folder, ENCODER, {**KEYS, **config}, state)
        write_auto_files(folder)
    card = Path(folder) / CARD
    if not card.exists() or is_unedited(card.read_text(encoding="utf-8", errors="replace")):
        num_params = sum(parameter.numel() for parameter in encoder.parameters())
        atomic_write(card, model_card(encoder.config, num_params, name, sparse))


def push_encoder(encoder: SSLEncoder, repo_id: str, *options: Any) -> str:
    """Upload ``encoder`` as :func:`~espnet_prune.storage.hub.push_folder` does with ``options``.

    Example:
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.storage import push_encoder
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> push_encoder(encoder, "owner/name")  # doctest: +SKIP
        'https://huggingface.co/owner/name'
    """
    with tempfile.TemporaryDirectory() as folder:
        save_encoder(encoder, folder, repo_id)
        return push_folder(folder, repo_id, *options)


def load_encoder(folder: str | PathLike[str]) -> SSLEncoder:
    """Read what :func:`save_encoder` wrote, strictly and in eval mode, or raise CheckpointError.

    Example:
        >>> import tempfile
        >>> from espnet_prune import SSLEncoder
        >>> from espnet_prune.storage import load_encoder, save_encoder
        >>> encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_encoder(encoder, folder)
        ...     print(load_encoder(folder).config == encoder.config)
        True
    """
    config, state = load_folder(folder, ENCODER)
    history = config.pop(HISTORY, ())
    return restore_encoder(without_auto_keys(config), state, folder, history)


def restore_encoder(
    values: Mapping[str, Any],
    state: Mapping[str, Tensor],
    folder: str | PathLike[str],
    history: object = (),
) -> SSLEncoder:
    """The encoder of a config, weights and history that ``folder`` holds; see :func:`fill`."""
    try:
        config = SSLConfig.from_dict(values)
    except ConfigError as error:
        raise CheckpointError(f"{folder}/{CONFIG}: {error}") from error
    steps = read_history(history, f"{folder}/{CONFIG}")
    encoder = fill(empty_encoder(config), state, folder)
    encoder.history = steps
    return encoder


def kept_history(encoder: nn.Module) -> dict[str, Any]:
    """What a config keeps of how ``encoder`` came to be; nothing where nobody knows."""
    steps = getattr(encoder, "history", ())  # what stands in the place of an encoder has none
    return {HISTORY: list(steps)} if steps else {}


def fill(encoder: SSLEncoder, state: Mapping[str, Tensor], source: object) -> SSLEncoder:
    """An empty encoder with the values of ``state``, in eval mode; see :func:`load_strictly`."""
    load_strictly(encoder, state, source, assign=True)
    # Encoders once drew these before they were loaded: what is made next, such as the head of a
    # training, has the same random values for the same seed as ever.
    for module in encoder.modules():
        if isinstance(module, ConvLayer | PositionalConv):
            torch.empty_like(module.conv.weight).normal_()
    return encoder.eval()


def empty_encoder(config: SSLConfig) -> SSLEncoder:
    """An encoder of ``config`` without memory, whose weights are to be assigned."""
    with without_memory():
        return SSLEncoder(config)


@contextlib.contextmanager
def without_memory() -> Iterator[None]:
    """Within it modules have shapes but no values, however large they are."""
    with torch.device("meta"), _Shapes():
        yield


class _Shapes(TorchFunctionMode):
    """Modules on the device ``meta`` keep the indices that are no weights, and start quickly."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        # On meta, ranges, random values and norms would import for more than a second.
        if function in (torch.tensor, torch.arange):
            kwargs = {**kwargs, "device": "cpu"}
        if getattr(function, "__module__", None) == nn.init.__name__:
            return kwargs.get("tensor", *args[:1])
        if function in (Tensor.normal_, Tensor.uniform_, torch.empty_like, torch._weight_norm):
            return args[0].detach()
        if function is torch.norm_except_dim:
            weight, _, dim = args
            return weight.new_empty([n if i == dim else 1 for i, n in enumerate(weight.shape)])
        return function(*args, **kwargs)
