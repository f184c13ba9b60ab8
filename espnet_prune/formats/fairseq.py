"""WavLM, HuBERT and wav2vec 2.0 in fairseq's kind of file: one pickle of config and weights.

fairseq (https://github.com/facebookresearch/fairseq), Microsoft
(https://github.com/microsoft/unilm/tree/master/wavlm) and s3prl write it, each with its own keys.
"""

from __future__ import annotations

import ast
import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.config import ConvLayerConfig, SSLConfig
from espnet_prune.encoder.model import SSLEncoder
from espnet_prune.encoder.typed import ConfigError, shown
from espnet_prune.formats.conversion import (
    Table,
    Values,
    build_encoder,
    convert_config,
    dense_shape,
    translated,
)
from espnet_prune.formats.pickles import check_state

LAYERS: Table = {
    "norm": "encoder.layer_norm",
    "layers.N.attention.qkv": tuple(f"encoder.layers.N.self_attn.{x}_proj" for x in "qkv"),
    "layers.N.attention.out_proj": "encoder.layers.N.self_attn.out_proj",
    "layers.N.attention_norm": "encoder.layers.N.self_attn_layer_norm",
    "layers.N.feed_forward.fc1": "encoder.layers.N.fc1",
    "layers.N.feed_forward.fc2": "encoder.layers.N.fc2",
    "layers.N.ffn_norm": "encoder.layers.N.final_layer_norm",
}
"""fairseq's Transformer, whose names transformers' Whisper has too."""
TABLE: Table = {
    **LAYERS,
    "front_end.conv_layers.N.conv": "feature_extractor.conv_layers.N.0",
    "front_end.conv_layers.N.norm": "feature_extractor.conv_layers.N.2",
    "front_end.norm": "layer_norm",
    "front_end.projection": "post_extract_proj",
    "pos_conv.conv": "encoder.pos_conv.0",
    "pos_conv.conv.parametrizations.weight": "encoder.pos_conv.0.parametrizations.weight",
    # WavLM's own.
    "position_bias.table": "encoder.layers.0.self_attn.relative_attention_bias",
    "layers.N.attention.position_gate.linear": "encoder.layers.N.self_attn.grep_linear",
    "layers.N.attention.position_gate.scale": "encoder.layers.N.self_attn.grep_a",
}
LAYER_NORM_ROW: Table = {"front_end.conv_layers.N.norm": "feature_extractor.conv_layers.N.2.1"}
_DROPPED = {
    "mask_emb": "stands for masked frames in pre-training",
    "final_proj": "predicts the targets of pre-training",
    "label_embs_concat": "holds the targets of pre-training",
    **dict.fromkeys(("quantizer", "project_q", "target_glu"), "makes the targets of pre-training"),
    "w2v_encoder.proj": "belongs to a head for CTC",
}
_FINE_TUNED = "w2v_encoder.w2v_model."

_SHAPE = r"\(\s*\d{1,7}\s*,\s*\d{1,7}\s*,\s*\d{1,7}\s*,?\s*\)"
_TERM = rf"\s*\[\s*{_SHAPE}(\s*,\s*{_SHAPE})*\s*,?\s*\]\s*(\*\s*\d{{1,2}}\s*)?"
_CONV_LAYERS, _LONGEST = re.compile(rf"{_TERM}(\+{_TERM})*"), 1000

_FIELDS = {
    "family": "_name",
    "conv_bias": "conv_bias",
    "embed_dim": "encoder_embed_dim",
    "num_heads": "encoder_attention_heads",
    "norm_first": "layer_norm_first",
    "pos_conv_kernel": "conv_pos",
    "pos_conv_groups": "conv_pos_groups",
    "normalize_waveform": "normalize",
    "projection_dropout": "dropout_input",
    "attention_dropout": "attention_dropout",
    "ffn_dropout": "activation_dropout",
    "hidden_dropout": "dropout",
}
_WAVLM_FIELDS = {"num_buckets": "num_buckets", "max_distance": "max_distance"}
# A key that is absent has the originals' default, which is the value given here.
_SUPPORTED = {
    "activation_fn": "gelu",
    "layer_type": "transformer",
    "pos_enc_type": "abs",
    "pos_conv_depth": 1,
    "conv_pos_batch_norm": False,
    "quantize_input": False,
    "crop_seq_to_multiple": 1,
    "expand_attention_head_size": -1,
}
_WAVLM_SUPPORTED = {"relative_position_embedding": True, "gru_rel_pos": True}
# In configs without a name, as Microsoft's are.
_OWN_KEYS = {"gru_rel_pos": "wavlm", "label_rate": "hubert", "quantize_targets": "wav2vec2"}
_FAMILIES = ("wavlm", "hubert", "wav2vec2")
_CONV_NORMS = {"default": "group", "layer_norm": "layer"}


def import_fairseq(path: Path, checkpoint: Values) -> SSLEncoder:
    """Take the encoder out of a pre-trained model, or of one fine-tuned with CTC.

    The file at ``path`` holds ``cfg`` and ``model`` (Microsoft; fairseq), ``args`` and ``model``
    (fairseq until 2020), or ``model_cfg``, ``task_cfg`` and ``model_weight`` (s3prl).
    """
    found, weights = checkpoint.get("cfg") or checkpoint.get("args"), checkpoint.get("model")
    if "model_weight" in checkpoint:
        found, weights = _s3prl_config(checkpoint), checkpoint["model_weight"]
    values = {**_SUPPORTED, "normalize": False, **_model_config(found, path)}
    values["_name"] = family = _family(values, path)
    supported = {**_SUPPORTED, **(_WAVLM_SUPPORTED if family == "wavlm" else {})}
    config = convert_config(values, supported, _config, path)
    table = {**TABLE, **LAYER_NORM_ROW} if config.conv_norm == "layer" else TABLE
    checked = check_state(weights, path)
    state = {key.removeprefix(_FINE_TUNED): value for key, value in checked.items()}
    return build_encoder(config, state, table, _DROPPED, path)


def _s3prl_config(checkpoint: Values) -> dict[str, Any]:
    # s3prl itself tells its two families by this key; its HuBERT files may have another name.
    name = {"_name": "hubert"} if "dictionaries_symbols" in checkpoint else {}
    model, task = checkpoint.get("model_cfg"), checkpoint.get("task_cfg")
    return {"model": {**model, **name} if isinstance(model, Mapping) else model, "task": task}


def _model_config(found: object, path: Path) -> Values:
    """The pre-trained model's values, and the task's ``normalize``, from wherever they lie."""
    values = vars(found) if isinstance(found, Namespace) else found
    if not isinstance(values, Mapping):
        raise CheckpointError(
            f"{path}: expected the config of a pre-trained model and its task, found "
            f"{type(found).__name__}; if a fine-tuned model was saved without it, import the "
            "pre-trained one"
        )
    if "w2v_args" in values:
        return _model_config(values["w2v_args"], path)
    if "model" not in values:
        return values
    task = _model_config(values.get("task"), path)
    return {"normalize": task.get("normalize", False), **_model_config(values["model"], path)}


def _family(values: Values, path: Path) -> str:
    names = [values.get("_name"), values.get("arch")]
    names += [family for key, family in _OWN_KEYS.items() if key in values]
    name = next(filter(None, names), None)
    if name not in _FAMILIES:
        raise CheckpointError(
            f"{path}: expected the config of a model of {', '.join(_FAMILIES)}, found "
            f"{name!r}; such a model cannot be imported"
        )
    return name


def _config(values: Values) -> SSLConfig:
    # Dropped: encoder_layerdrop and feature_grad_mult (training of the original only), mask_*
    # (pre-training), dropout_features (which no hidden state passes).
    mode = values["extractor_mode"]
    wavlm = _WAVLM_FIELDS if values["_name"] == "wavlm" else {}
    return dense_shape(
        values["encoder_layers"],
        values["encoder_ffn_embed_dim"],
        translated(values, {**_FIELDS, **wavlm}),
        conv_layers=_conv_layers(values["conv_feature_layers"]),
        conv_norm=_CONV_NORMS.get(mode, mode),
    )


def _conv_layers(text: object) -> tuple[ConvLayerConfig, ...]:
    """Read ``[(512,10,5)] + [(512,3,2)] * 4``, which the originals evaluate as Python."""
    layers: list[tuple[int, int, int]] = []
    if not isinstance(text, str) or len(text) > _LONGEST or not _CONV_LAYERS.fullmatch(text):
        raise ConfigError(
            f"expected conv_feature_layers such as '[(512,10,5)] + [(512,3,2)] * 4', found "
            f"{shown(text)}"
        )
    for term in text.split("+"):
        shapes, _, times = term.partition("*")
        layers += ast.literal_eval(shapes.strip()) * int(times or 1)
    return tuple(ConvLayerConfig(*shape) for shape in layers)
