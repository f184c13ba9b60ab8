"""DiariZen's releases (Han et al., 2025): folders of ``config.toml`` and ``pytorch_model.bin``.

The code that belongs to them is https://github.com/BUTSpeechFIT/DiariZen.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.model import SSLEncoder
from espnet_prune.encoder.presets import PRESETS
from espnet_prune.encoder.typed import ConfigError, read_typed, shown
from espnet_prune.formats.conversion import convert_state
from espnet_prune.formats.dphubert import encoder_from, encoder_of
from espnet_prune.formats.pickles import load_pickle, load_state
from espnet_prune.storage.config_files import read_toml
from espnet_prune.storage.tensors import load_file

logger = logging.getLogger(__name__)

CONFIG, _SAFETENSORS, _PICKLE = "config.toml", "model.safetensors", "pytorch_model.bin"

# Far above any model; other numbers may be a million.
_MOST = {"num_layer": 1000, "max_speakers_per_chunk": 8}
_MODEL = "diarizen.models.eend.model_wavlm_conformer.Model"


@dataclass(frozen=True)
class _Arguments:
    """The arguments of that class and its own values, where a config.toml has none."""

    wavlm_src: str = "wavlm_base"
    wavlm_layer_num: int = 13
    wavlm_feat_dim: int = 768
    attention_in: int = 256
    ffn_hidden: int = 1024
    num_head: int = 4
    num_layer: int = 4
    kernel_size: int = 31
    dropout: float = 0.1
    use_posi: bool = False
    output_activate_function: bool = False
    max_speakers_per_chunk: int = 4
    max_speakers_per_frame: int = 2
    chunk_size: float = 5.0
    num_channels: int = 8
    selected_channel: int = 0
    sample_rate: int = 16000

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            most = _MOST.get(name, 10**6)
            if isinstance(value, int | float) and not 0 <= value <= most:
                raise ConfigError(f"{name}: expected a number from 0 to {most}, found {value}")


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
    """The WavLM of a released model; see :func:`read_diarizen`."""
    _, encoder, head = read_diarizen(path)
    convert_state({}, head, {}, _HEAD, path)
    return encoder


def read_diarizen(
    path: str | PathLike[str],
) -> tuple[dict[str, Any], SSLEncoder, dict[str, Tensor]]:
    """All arguments of a released model, its WavLM, and the weights of what is behind that.

    ``path`` is the folder, or the ``pytorch_model.bin`` in it.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    args = _arguments(folder / CONFIG)
    logger.info(
        "%s: reading the model alone: [inference], [clustering] and plda belong to the original's "
        "pipeline",
        folder,
    )
    file = path
    if path.is_dir():
        file = folder / (_SAFETENSORS if (folder / _SAFETENSORS).exists() else _PICKLE)
    state = load_file(file) if file.suffix == ".safetensors" else load_state(file)
    weights: dict[str, Tensor] = {}
    head: dict[str, Tensor] = {}
    for key, value in state.items():
        (weights if key.startswith(_ENCODER) else head)[key.removeprefix(_ENCODER)] = value
    return args, _encoder(args, weights, path, folder), head


def _arguments(path: Path) -> dict[str, Any]:
    try:
        model = read_toml(path).get("model")
        if not (isinstance(model, dict) and model.get("path") == _MODEL):
            raise ConfigError(
                f"{path}: expected a table [model] with path = {_MODEL!r}, found {shown(model)}; "
                "such a model cannot be imported"
            )
        return asdict(read_typed(_Arguments, model.get("args", {}), f"{path}: [model.args]"))
    except ConfigError as error:
        raise CheckpointError(
            f"{error}; pass the folder of a DiariZen model, which holds {CONFIG} and {_PICKLE}"
        ) from error


def _encoder(
    args: Mapping[str, Any], weights: Mapping[str, Tensor], path: Path, folder: Path
) -> SSLEncoder:
    name = args["wavlm_src"]
    if preset := _PRESETS.get(name.lower()):
        return encoder_of(PRESETS[preset](), weights, path)
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
