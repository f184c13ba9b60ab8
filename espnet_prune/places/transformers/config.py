"""The config of an encoder, as transformers keeps configs."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from transformers import PretrainedConfig

from espnet_prune.encoder import SSLConfig
from espnet_prune.storage.auto_files import KEYS, MODEL_TYPE
from espnet_prune.storage.checkpoint import ENCODER


class SSLEncoderConfig(PretrainedConfig):
    """The fields of :class:`.SSLConfig`, each an attribute."""

    model_type = MODEL_TYPE
    attribute_map = {"hidden_size": "embed_dim", "num_attention_heads": "num_heads"}  # noqa: RUF012

    def __init__(self, **values: Any):
        # A check of transformers', that heads fill the width, must not see the fields.
        own = {x.name: values.pop(x.name) for x in fields(SSLConfig) if x.name in values}
        super().__init__(**{"kind": ENCODER, "auto_map": KEYS["auto_map"], **values})
        vars(self).update(own)

    def shape(self) -> SSLConfig:
        """The encoder that this describes; ConfigError if it describes none."""
        names = (field.name for field in fields(SSLConfig))
        return SSLConfig.from_dict({x: getattr(self, x) for x in names if hasattr(self, x)})

    def validate(self) -> None:
        """Nothing: saving asks, too, that heads fill the width, which here they need not."""

    @property
    def num_hidden_layers(self) -> int:
        """Transformer layers."""
        return len(self.layers)

    @classmethod
    def register_for_auto_class(cls, auto_class: Any = "AutoConfig") -> None:
        """Nothing: the code that a folder holds is no copy of this file."""
