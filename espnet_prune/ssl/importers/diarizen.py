"""DiariZen's releases (Han et al., 2025): folders of ``config.toml`` and ``pytorch_model.bin``.

The code that belongs to them is https://github.com/BUTSpeechFIT/DiariZen.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from espnet_prune.ssl.importers.conversion import convert_state
from espnet_prune.ssl.importers.dphubert import encoder_from, encoder_of
from espnet_prune.ssl.importers.pickles import check_state, load_pickle
from espnet_prune.ssl.model import SSLEncoder
from espnet_prune.ssl.presets import PRESETS
from espnet_prune.ssl.safetensors import CheckpointError, load_file

logger = logging.getLogger(__name__)

CONFIG, _SAFETENSORS, _PICKLE = "config.toml", "model.safetensors", "pytorch_model.bin"

_MODEL = "diarizen.models.eend.model_wavlm_conformer.Model"
# The arguments of that class and its own values, where a config.toml has none.
_DEFAULTS = {
    "wavlm_src": "wavlm_base",
    "wavlm_layer_num": 13,
    "wavlm_feat_dim": 768,
    "attention_in": 256,
    "ffn_hidden": 1024,
    "num_head": 4,
    "num_layer": 4,
    "kernel_size": 31,
    "dropout": 0.1,
    "use_posi": False,
    "output_activate_function": False,
    "max_speakers_per_chunk": 4,
    "max_speakers_per_frame": 2,
    "chunk_size": 5.0,
    "num_channels": 8,
    "selected_channel": 0,
    "sample_rate": 16000,
}
# The shapes that its code knows by name.
_PRESETS = {
    "wavlm_base": "wavlm_base_plus",
    "wavlm_large": "wavlm_large",
    "wavlm_base_s80_md": "wavlm_base_plus_s80",
    "wavlm_large_s80_md": "wavlm_large_s80",
}
_ENCODER = "wavlm_model."
_HEAD = dict.fromkeys(
    ("weight_sum", "proj", "lnorm", "conformer", "classifier"),
    "diarizes: DiarizationModel.from_pretrained reads it",
)


def import_diarizen(path: str | PathLike[str]) -> SSLEncoder:
    """The WavLM of a released model.

    Args:
        path: the folder, or the ``pytorch_model.bin`` in it.

    Raises:
        CheckpointError: the release is damaged, unsafe, of another kind or not supported.
    """
    args, state = read_diarizen(path)
    encoder, head = split_diarizen(args, state, path)
    convert_state({}, head, {}, _HEAD, path)
    return encoder


def read_diarizen(path: str | PathLike[str]) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
    """The arguments of a released model, all of them, and its weights.

    Raises:
        CheckpointError: as :func:`import_diarizen`.
    """
    path = Path(path)
    folder = _folder(path)
    args = _arguments(folder / CONFIG)
    logger.info(
        "%s: reading the model alone: [inference], [clustering] and plda belong to the original's "
        "pipeline",
        folder,
    )
    if path.is_dir():
        path = folder / (_SAFETENSORS if (folder / _SAFETENSORS).exists() else _PICKLE)
    state = load_file(path) if path.suffix == ".safetensors" else load_pickle(path)
    return args, check_state(state, path)


def split_diarizen(
    args: Mapping[str, Any], state: Mapping[str, Tensor], path: str | PathLike[str]
) -> tuple[SSLEncoder, dict[str, Tensor]]:
    """The WavLM, and the weights of what is behind it, of what :func:`read_diarizen` returned.

    Raises:
        CheckpointError: the shape of the WavLM is not known, or the weights have another.
    """
    weights: dict[str, Tensor] = {}
    head: dict[str, Tensor] = {}
    for key, value in state.items():
        (weights if key.startswith(_ENCODER) else head)[key.removeprefix(_ENCODER)] = value
    return _encoder(args, weights, Path(path)), head


def _encoder(args: Mapping[str, Any], weights: Mapping[str, Tensor], path: Path) -> SSLEncoder:
    name = args["wavlm_src"]
    if preset := _PRESETS.get(name.lower()):
        return encoder_of(PRESETS[preset](), weights, path)
    folder = _folder(path)
    for file in (folder / name, folder / Path(name).name):
        # The trainer's file often has the name that the release itself has.
        if file.is_file() and file != folder / _PICKLE:
            return encoder_from(_wavlm_config(file), weights, path)
    # A file on the trainer's machine. Weights do not tell which heads they are, unless all are.
    dense = "wavlm_large" if args["wavlm_feat_dim"] == 1024 else "wavlm_base_plus"
    try:
        return encoder_of(PRESETS[dense](), weights, path)
    except CheckpointError as error:
        raise CheckpointError(
            f"{path}: expected wavlm_src to be one of {', '.join(_PRESETS)}, or a file, found "
            f"{name!r}, which is not here, and the weights are not those of a dense WavLM "
            f"({error}); put that file beside {CONFIG}, and its name there into wavlm_src"
        ) from error


def _wavlm_config(file: Path) -> dict[str, Any]:
    checkpoint = load_pickle(file)
    if isinstance(checkpoint, dict) and isinstance(config := checkpoint.get("config"), dict):
        return config
    raise CheckpointError(f"{file}: expected a WavLM file with 'config', found none")


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _arguments(path: Path) -> dict[str, Any]:
    model = read_toml(path).get("model")
    if not (isinstance(model, dict) and model.get("path") == _MODEL):
        raise CheckpointError(
            f"{path}: expected a table [model] with path = {_MODEL!r}, found {model!r}; such a "
            "model cannot be imported"
        )
    args = model.get("args", {})
    if not isinstance(args, dict):
        raise CheckpointError(f"{path}: expected a table [model.args], found {args!r}")
    if unknown := sorted(set(args) - set(_DEFAULTS)):
        raise CheckpointError(
            f"{path}: expected of [model.args] {', '.join(_DEFAULTS)}, found also "
            f"{', '.join(unknown)}; such a model cannot be imported"
        )
    for key, value in args.items():
        expected = type(_DEFAULTS[key])
        if type(value) is not expected and (type(value), expected) != (int, float):
            raise CheckpointError(
                f"{path}: expected {key} in [model.args] to be of type {expected.__name__}, found "
                f"{value!r}"
            )
    return {**_DEFAULTS, **args}


def read_toml(path: Path) -> dict[str, Any]:
    try:
        toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    except ImportError as error:
        raise CheckpointError(f"{path}: on Python 3.10 needs tomli: pip install tomli") from error
    try:
        return toml.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: expected a TOML file, found none ({error}); pass the folder of a DiariZen "
            f"model, which holds {CONFIG} and {_PICKLE}"
        ) from error
