"""What makes an encoder's folder one of transformers: keys of its config, two files beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any

from espnet_prune.encoder.config import SSLConfig
from espnet_prune.storage.files import atomic_write

MODEL_TYPE = "espnet_prune"
_CODE = "modeling_espnet_prune"
KEYS: dict[str, Any] = {
    "model_type": MODEL_TYPE,
    "architectures": ["SSLEncoderModel"],
    "auto_map": {
        "AutoConfig": f"{_CODE}.SSLEncoderConfig",
        "AutoModel": f"{_CODE}.SSLEncoderModel",
    },
}
"""What ``AutoConfig`` and ``AutoModel`` read in ``config.json``."""
# transformers copies this file elsewhere before it runs it, and tells who lacks the package.
_LOADER = '''\
"""What AutoModel.from_pretrained(folder, trust_remote_code=True) runs; it needs espnet_prune."""

from espnet_prune.places.transformers import adapt
from espnet_prune.places.transformers.model import SSLEncoderConfig, SSLEncoderModel

adapt()
'''
# Encoders scale waveforms themselves where they must, each item by its own samples.
_PREPROCESSOR = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "sampling_rate": 16000,
    "do_normalize": False,
    "return_attention_mask": True,
    "padding_side": "right",
    "padding_value": 0.0,
}


def write_auto_files(folder: str | PathLike[str]) -> None:
    """Write the code that ``auto_map`` names, and a preprocessor for waveforms of 16 kHz."""
    atomic_write(Path(folder, f"{_CODE}.py"), _LOADER)
    text = json.dumps(_PREPROCESSOR, indent=2)
    atomic_write(Path(folder, "preprocessor_config.json"), text + "\n")


def without_auto_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """``config`` without :data:`KEYS`; of one that transformers wrote, the encoder's fields."""
    if "transformers_version" not in config:
        return {key: value for key, value in config.items() if key not in KEYS}
    return {x.name: config[x.name] for x in fields(SSLConfig) if x.name in config}
