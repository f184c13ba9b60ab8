"""Encoders as models of transformers, which is told of them once both are imported."""

from __future__ import annotations

import sys
from typing import Any

from espnet_prune.storage.auto_files import MODEL_TYPE


def adapt(_: object = None) -> None:
    """Make those of ``AutoConfig``, ``AutoModel`` and ``AutoTokenizer`` that are loaded know ours.

    Calling it again is fine.
    """
    # transformers loads its config first; what models need may be half loaded then.
    if auto := _loaded("configuration_auto", "AutoConfig"):
        from espnet_prune.places.transformers.config import SSLEncoderConfig

        auto.register(MODEL_TYPE, SSLEncoderConfig, exist_ok=True)
    if auto := _loaded("modeling_auto", "AutoModel"):
        from espnet_prune.places.transformers.model import SSLEncoderModel

        auto.register(SSLEncoderModel.config_class, SSLEncoderModel, exist_ok=True)
    if auto := _loaded("tokenization_auto", "AutoTokenizer"):
        from espnet_prune.places.transformers.waveforms import WaveformReader

        auto.register(SSLEncoderConfig, WaveformReader, exist_ok=True)


def _loaded(module: str, name: str) -> Any:
    return getattr(sys.modules.get(f"transformers.models.auto.{module}"), name, None)
