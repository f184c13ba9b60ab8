"""transformers' WavLM, HuBERT and wav2vec 2.0: their keys, configs and preprocessors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.config import ConvLayerConfig, SSLConfig
from espnet_prune.formats.conversion import (
    Layout,
    Table,
    Values,
    Weights,
    assume_normalized,
    convert_config,
    dense_shape,
    renamed,
    translated,
)

TABLE: Table = {
    "front_end.conv_layers.N.conv": "feature_extractor.conv_layers.N.conv",
    "front_end.conv_layers.N.norm": "feature_extractor.conv_layers.N.layer_norm",
    "front_end.norm": "feature_projection.layer_norm",
    "front_end.projection": "feature_projection.projection",
    "pos_conv.conv": "encoder.pos_conv_embed.conv",
    "pos_conv.conv.parametrizations.weight": "encoder.pos_conv_embed.conv.parametrizations.weight",
    "position_bias.table": "encoder.layers.0.attention.rel_attn_embed",
    "norm": "encoder.layer_norm",
    "layers.N.attention.qkv": tuple(f"encoder.layers.N.attention.{x}_proj" for x in "qkv"),
    "layers.N.attention.position_gate.linear": "encoder.layers.N.attention.gru_rel_pos_linear",
    "layers.N.attention.position_gate.scale": "encoder.layers.N.attention.gru_rel_pos_const",
    "layers.N.attention.out_proj": "encoder.layers.N.attention.out_proj",
    "layers.N.attention_norm": "encoder.layers.N.layer_norm",
    "layers.N.feed_forward.fc1": "encoder.layers.N.feed_forward.intermediate_dense",
    "layers.N.feed_forward.fc2": "encoder.layers.N.feed_forward.output_dense",
    "layers.N.ffn_norm": "encoder.layers.N.final_layer_norm",
}
CLASSIFIER = {
    "layer_weights": "weighs the hidden states for a head",
    **dict.fromkeys(("projector", "classifier"), "belongs to a head for classification"),
}
_HEADS = {
    **CLASSIFIER,
    **dict.fromkeys(("quantizer", "project_q"), "makes the targets of pre-training"),
    "project_hid": "predicts the targets of pre-training",
    "lm_head": "belongs to a head for CTC",
    **dict.fromkeys(
        ("tdnn", "feature_extractor", "objective"), "belongs to a head for speaker embeddings"
    ),
}
_FIELDS = {
    "conv_norm": "feat_extract_norm",
    "conv_bias": "conv_bias",
    "embed_dim": "hidden_size",
    "num_heads": "num_attention_heads",
    "norm_first": "do_stable_layer_norm",
    "pos_conv_kernel": "num_conv_pos_embeddings",
    "pos_conv_groups": "num_conv_pos_embedding_groups",
    "projection_dropout": "feat_proj_dropout",
    "attention_dropout": "attention_dropout",
    "ffn_dropout": "activation_dropout",
    "hidden_dropout": "hidden_dropout",
}
_WAVLM_FIELDS = {"num_buckets": "num_buckets", "max_distance": "max_bucket_distance"}
CONSTANTS = {"hidden_act": "gelu", "feat_extract_activation": "gelu", "layer_norm_eps": 1e-5}
"""The only values in transformers' configs of what ours have no name for."""
# A key that is absent has transformers' default, which is the value given here.
_SUPPORTED = {
    **CONSTANTS,
    "add_adapter": False,
    "adapter_attn_dim": None,
    "feat_proj_layer_norm": True,
    "conv_pos_batch_norm": False,
}


def waveform_layout(model: str) -> Layout:
    """The layout of these families, whose encoder alone is transformers' class ``model``."""
    return Layout(model, TABLE, _read, _select, _write)


def shared_fields(family: str) -> dict[str, str]:
    """From our config's names to transformers', for the values that both write alike."""
    return {**_FIELDS, **_WAVLM_FIELDS} if family == "wavlm" else _FIELDS


def _read(values: Values, preprocessor: Values | None, source: object) -> SSLConfig:
    config = convert_config({**_SUPPORTED, **values}, _SUPPORTED, _config, source)
    if preprocessor is None:
        lacking = "no preprocessor_config.json"
        assumed = assume_normalized(config.conv_norm == "layer", source, lacking)
        return replace(config, normalize_waveform=assumed)
    if not isinstance(normalize := preprocessor.get("do_normalize"), bool):
        raise CheckpointError(
            f"{source}: expected do_normalize true or false, found {normalize!r} in the file of "
            "the preprocessor beside it"
        )
    return replace(config, normalize_waveform=normalize)


def _config(values: Values) -> SSLConfig:
    # Dropped: layerdrop and mask_* (training of the original only), and the sizes of heads.
    family = values["model_type"]
    shapes = zip(values["conv_dim"], values["conv_kernel"], values["conv_stride"], strict=True)
    return dense_shape(
        values["num_hidden_layers"],
        values["intermediate_size"],
        translated(values, shared_fields(family)),
        family=family,
        conv_layers=tuple(ConvLayerConfig(*shape) for shape in shapes),
        normalize_waveform=False,
    )


def _select(config: SSLConfig, state: Mapping[str, Tensor], source: object) -> Weights:
    prefix, dropped = f"{config.family}.", _HEADS
    if not any(key.startswith(prefix) for key in state):
        prefix, dropped = "", {}
    dropped = {**dropped, f"{prefix}masked_spec_embed": "stands for masked frames in training"}
    return state, renamed(TABLE, lambda key: prefix + key), dropped


def _write(config: SSLConfig) -> tuple[Values, Values]:
    values = {
        **CONSTANTS,
        **{theirs: getattr(config, ours) for ours, theirs in shared_fields(config.family).items()},
        "conv_dim": [layer.channels for layer in config.conv_layers],
        "conv_kernel": [layer.kernel for layer in config.conv_layers],
        "conv_stride": [layer.stride for layer in config.conv_layers],
        "num_feat_extract_layers": len(config.conv_layers),
        "num_hidden_layers": len(config.layers),
        "intermediate_size": config.layers[0].ffn,
        # Off, as in our encoders; a probability above zero would ask for a vector that stands for
        # masked frames.
        "apply_spec_augment": False,
        "mask_time_prob": 0.0,
        "mask_feature_prob": 0.0,
        "layerdrop": 0.0,
    }
    return values, {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "do_normalize": config.normalize_waveform,
        # Our encoders never attend to padding, whatever their front end.
        "return_attention_mask": True,
    }
