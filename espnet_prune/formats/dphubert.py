"""DPHuBERT's and DiariZen's pruned encoders: one pickle, ``{"config": ..., "state_dict": ...}``.

The code that belongs to these files is https://github.com/pyf98/DPHuBERT (Peng et al., 2023) and
https://github.com/BUTSpeechFIT/DiariZen (Han et al., 2025), both descendants of torchaudio's. How
what they compute becomes what we compute:

- Hidden states: DiariZen's N + 1 are ours. DPHuBERT's first one is the frames before the positional
  convolution, ours the input of the first layer; the others are the same. In pre-norm models
  neither normalises the last one (``config.final_norm``).
- A sublayer without units lost its output bias, ours is zero. WavLM's bucket table was lost with
  the first layer's attention; no layer has a position bias then, and our table is zero.
- A HuBERT or wav2vec 2.0 tells how many heads a layer keeps, not which: they count from 0. It does
  not tell which of the two it is, so it is called a HuBERT.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.config import (
    ConvLayerConfig,
    SSLConfig,
    TransformerLayerConfig,
    first_heads,
)
from espnet_prune.encoder.model import SSLEncoder
from espnet_prune.encoder.typed import shortened
from espnet_prune.formats.conversion import (
    Values,
    build_encoder,
    convert_config,
    source_keys,
    translated,
)
from espnet_prune.formats.pickles import check_state
from espnet_prune.formats.torchaudio import HEAD, TABLE

logger = logging.getLogger(__name__)

_SCALE = "feature_extractor.dummy_weight"
_TABLE = {**TABLE, "front_end.scale": _SCALE}
_DROPPED = {
    **HEAD,
    _SCALE: "multiplies by one",
    "encoder.transformer.layer_norm": "normalises no state that the original returns",
}
_PROJECTIONS = "distill_linear_projs"
_REMAINING = "encoder_remaining_heads"  # of a WavLM
# How the names of ours end that went with a sublayer, or with the attention of the first layer.
_LOST, _LOST_TABLE = (".attention.bias", ".feed_forward.bias"), "position_bias.table.weight"

_FIELDS = {
    "conv_bias": "extractor_conv_bias",
    "embed_dim": "encoder_embed_dim",
    "norm_first": "encoder_layer_norm_first",
    "pos_conv_kernel": "encoder_pos_conv_kernel",
    "pos_conv_groups": "encoder_pos_conv_groups",
    "normalize_waveform": "normalize_waveform",
    "projection_dropout": "encoder_projection_dropout",
    "attention_dropout": "encoder_attention_dropout",
    "ffn_dropout": "encoder_ff_interm_dropout",
    "hidden_dropout": "encoder_dropout",
}
_WAVLM_FIELDS = {"num_buckets": "encoder_num_buckets", "max_distance": "encoder_max_distance"}
_CONV_NORMS: dict[str, Any] = {"group_norm": "group", "layer_norm": "layer"}
_KNOWN = {
    *_FIELDS.values(),
    "extractor_mode",
    "extractor_conv_layer_config",
    "encoder_num_layers",
    "encoder_use_attention",
    "encoder_use_feed_forward",
    "encoder_ff_interm_features",
    # Dropped: the training of the original only, its head, the shape of its gates.
    "encoder_layer_drop",
    "aux_num_out",
    "limit_l",
    "limit_r",
    "temperature",
}
_WAVLM = {*_WAVLM_FIELDS.values(), "encoder_total_num_heads", _REMAINING}
_HUBERT = {"encoder_num_heads", "encoder_head_dim"}


def import_dphubert(path: Path, checkpoint: Values) -> SSLEncoder:
    """Read what DPHuBERT's ``save_final_ckpt.py`` or DiariZen's ``apply_pruning.py`` wrote."""
    found = set(checkpoint)
    if found - {_PROJECTIONS} != {"config", "state_dict"}:
        raise CheckpointError(
            f"{path}: expected 'config', 'state_dict' and at most {_PROJECTIONS!r}, found "
            f"{sorted(map(str, found))}"
        )
    if _PROJECTIONS in found:
        logger.info("%s: leaving out %s, which led to the teacher's states", path, _PROJECTIONS)
    config = checkpoint["config"]
    if not (isinstance(config, Mapping) and all(isinstance(key, str) for key in config)):
        raise CheckpointError(
            f"{path}: expected a config of values by name, found {type(config).__name__}"
        )
    return encoder_from(config, check_state(checkpoint["state_dict"], path), path)


def encoder_from(config: Values, state: Mapping[str, Tensor], source: object) -> SSLEncoder:
    """Build the encoder of a ``config`` for the original's ``wav2vec2_model`` with its tensors."""
    _check_keys(config, state, source)
    return encoder_of(convert_config(config, {}, _config, source), state, source)


def encoder_of(shape: SSLConfig, state: Mapping[str, Tensor], source: object) -> SSLEncoder:
    """Build the encoder of a known shape, in eval mode, with the original's tensors.

    ``channel_scale`` and ``final_norm`` follow from here, whatever ``shape`` has.
    """
    scale = state.get(_SCALE)
    scaled = scale is not None and bool((scale != 1).any())
    config = replace(shape, channel_scale=scaled, final_norm=not shape.norm_first)
    lost = _LOST if config.layers[0].heads else (*_LOST, _LOST_TABLE)
    return build_encoder(config, _kept_constants(config, state), _TABLE, _DROPPED, source, lost)


def _check_keys(config: Values, state: Mapping[str, Tensor], source: object) -> None:
    gates = [key for key in config if "prune" in key and config[key] is not False]
    gates += [key for key in state if key.endswith(".log_alpha")]
    if gates:
        raise CheckpointError(
            f"{source}: expected a pruned model, found one whose gates are still inside "
            f"({shortened(gates)}); extract the smaller model first, with DPHuBERT's prune.py "
            "or DiariZen's apply_pruning.py"
        )
    known = _KNOWN | (_WAVLM if _REMAINING in config else _HUBERT)
    unknown = [key for key in config if key not in known and "prune" not in key]
    if unknown:
        raise CheckpointError(
            f"{source}: expected the arguments of DPHuBERT's wav2vec2_model in the config, found "
            f"also {shortened(unknown)}; the file is of a kind not known here"
        )


def _kept_constants(config: SSLConfig, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``state``, of whose gate constants, one per head of the dense model, the kept are left."""
    kept = dict(state)
    for index, layer in enumerate(config.layers):
        (key,) = source_keys(f"layers.{index}.attention.position_gate.scale", _TABLE)
        if key in state and state[key].numel() == config.num_heads:
            kept[key] = state[key].flatten()[list(layer.heads)]
    return kept


def _config(values: Values) -> SSLConfig:
    wavlm = _REMAINING in values
    num_heads, head_dim, heads = (_wavlm_heads if wavlm else _hubert_heads)(values)
    layers = zip(
        heads,
        _per_layer(values, "encoder_use_attention"),
        _per_layer(values, "encoder_ff_interm_features"),
        _per_layer(values, "encoder_use_feed_forward"),
        strict=True,
    )
    mode: Any = values["extractor_mode"]
    return SSLConfig(
        family="wavlm" if wavlm else "hubert",
        conv_layers=tuple(
            ConvLayerConfig(*shape) for shape in values["extractor_conv_layer_config"]
        ),
        conv_norm=_CONV_NORMS.get(mode, mode),
        num_heads=num_heads,
        head_dim=head_dim,
        layers=tuple(
            TransformerLayerConfig(tuple(kept) if attends else (), ffn if feeds else 0)
            for kept, attends, ffn, feeds in layers
        ),
        **translated(values, {**_FIELDS, **_WAVLM_FIELDS} if wavlm else _FIELDS),
    )


def _wavlm_heads(values: Values) -> tuple[int, int, Sequence[Sequence[int]]]:
    """Heads of the dense model, their width, and which of them each layer keeps."""
    totals = set(_per_layer(values, "encoder_total_num_heads"))
    if len(totals) != 1:
        raise ValueError(f"encoder_total_num_heads differs between layers: {sorted(totals)}")
    (total,) = totals
    return total, values["encoder_embed_dim"] // total, _per_layer(values, _REMAINING)


def _hubert_heads(values: Values) -> tuple[int, int, Sequence[Sequence[int]]]:
    counts, head_dim = _per_layer(values, "encoder_num_heads"), values["encoder_head_dim"]
    total = max(values["encoder_embed_dim"] // head_dim, *counts)
    return total, head_dim, [first_heads(count) for count in counts]


def _per_layer(values: Values, key: str) -> Sequence[Any]:
    found = values[key]
    if len(found) != values["encoder_num_layers"]:
        raise ValueError(
            f"{key} is for {len(found)} layers, encoder_num_layers {values['encoder_num_layers']}"
        )
    return found
