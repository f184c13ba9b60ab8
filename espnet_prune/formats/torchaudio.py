"""torchaudio's ``Wav2Vec2Model``: WavLM, HuBERT and wav2vec 2.0, as a module or as a bundle's name.

Its ``extract_features`` gives states 1 to N, in pre-norm models the last one without the final
LayerNorm, which its ``forward`` applies.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from torch import nn

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.config import ConvLayerConfig, SSLConfig, TransformerLayerConfig
from espnet_prune.encoder.model import SSLEncoder
from espnet_prune.formats.conversion import Table, build_encoder

logger = logging.getLogger(__name__)

_TRANSFORMER = "encoder.transformer"
_LAYER = f"{_TRANSFORMER}.layers.N"
TABLE: Table = {
    "front_end.conv_layers.N.conv": "feature_extractor.conv_layers.N.conv",
    "front_end.conv_layers.N.norm": "feature_extractor.conv_layers.N.layer_norm",
    "front_end.norm": "encoder.feature_projection.layer_norm",
    "front_end.projection": "encoder.feature_projection.projection",
    "pos_conv.conv": f"{_TRANSFORMER}.pos_conv_embed.conv",
    "pos_conv.conv.parametrizations.weight": (
        f"{_TRANSFORMER}.pos_conv_embed.conv.parametrizations.weight"
    ),
    "position_bias.table": f"{_TRANSFORMER}.layers.0.attention.rel_attn_embed",
    "norm": f"{_TRANSFORMER}.layer_norm",
    "layers.N.attention.qkv": (
        f"{_LAYER}.attention.q_proj",
        f"{_LAYER}.attention.k_proj",
        f"{_LAYER}.attention.v_proj",
    ),
    "layers.N.attention.position_gate.linear": f"{_LAYER}.attention.gru_rel_pos_linear",
    "layers.N.attention.position_gate.scale": f"{_LAYER}.attention.gru_rel_pos_const",
    "layers.N.attention.out_proj": f"{_LAYER}.attention.out_proj",
    "layers.N.attention_norm": f"{_LAYER}.layer_norm",
    "layers.N.feed_forward.fc1": f"{_LAYER}.feed_forward.intermediate_dense",
    "layers.N.feed_forward.fc2": f"{_LAYER}.feed_forward.output_dense",
    "layers.N.ffn_norm": f"{_LAYER}.final_layer_norm",
}
"""From our names to torchaudio's, which DPHuBERT and DiariZen took over."""

# In torchaudio's own WavLM, the attention is PyTorch's.
WAVLM_ROWS: Table = {
    "layers.N.attention.qkv.weight": f"{_LAYER}.attention.attention.in_proj_weight",
    "layers.N.attention.qkv.bias": f"{_LAYER}.attention.attention.in_proj_bias",
    "layers.N.attention.out_proj": f"{_LAYER}.attention.attention.out_proj",
}
HEAD = {"aux": "is a head on top of the encoder"}


def import_torchaudio(model: nn.Module, family: str = "wav2vec2") -> SSLEncoder:
    """Copy the encoder out of a model that torchaudio's factories or bundles made.

    A bundle's model says whether waveforms are normalised; a bare one does not, and they are if
    its front end has layer norms, as in every bundle.

    Args:
        model: a ``torchaudio.models.Wav2Vec2Model``, or a bundle's wrapper of one.
        family: what an encoder without position bias is to be called: HuBERT and wav2vec 2.0 are
            the same modules.

    Raises:
        CheckpointError: the model is of another kind.
    """
    from torchaudio.models import Wav2Vec2Model

    inner = getattr(model, "model", model)
    if not isinstance(inner, Wav2Vec2Model):
        raise CheckpointError(
            f"expected a torchaudio.models.Wav2Vec2Model, found {type(model).__name__}; pass the "
            "model that a factory or a bundle of torchaudio made"
        )
    try:
        config = _config(model, inner, family)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(
            "torchaudio: expected the modules that its own factories put together, found "
            f"others: {error}; such a model cannot be imported"
        ) from error
    table = {**TABLE, **WAVLM_ROWS} if config.family == "wavlm" else TABLE
    state = {key: value.clone() for key, value in inner.state_dict().items()}
    return build_encoder(config, state, table, HEAD, "torchaudio")


def import_bundle(name: str) -> SSLEncoder:
    """Download the weights of a bundle in ``torchaudio.pipelines``, and import its encoder.

    Args:
        name: such as ``HUBERT_BASE`` or ``WAVLM_LARGE``.

    Raises:
        CheckpointError: there is no such bundle, or no download of it.
    """
    try:
        from torchaudio import pipelines
    except ImportError as error:
        raise CheckpointError(
            f"torchaudio:{name}: a bundle needs torchaudio: pip install torchaudio"
        ) from error
    bundles = {
        key: value
        for key, value in vars(pipelines).items()
        if isinstance(value, pipelines.Wav2Vec2Bundle)
    }
    if name not in bundles:
        raise CheckpointError(
            f"torchaudio:{name}: expected the name of an encoder in torchaudio.pipelines, found "
            f"none; known: {', '.join(bundles)}"
        )
    try:
        model = bundles[name].get_model(dl_kwargs={"progress": True, "weights_only": True})
    except Exception as error:  # Networks, disks and damaged caches raise almost anything.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise CheckpointError(
            f"torchaudio:{name}: expected to download its weights, found none that can be read "
            f"({reason}); check the network, and "
            "remove a damaged file from torch.hub's folder checkpoints"
        ) from error
    return import_torchaudio(model, "hubert" if name.startswith("HUBERT") else "wav2vec2")


def _config(model: Any, inner: Any, family: str) -> SSLConfig:
    # Dropped: layer_drop (training of the original only).
    blocks = inner.feature_extractor.conv_layers
    projection, transformer = inner.encoder.feature_projection, inner.encoder.transformer
    first, pos_conv = transformer.layers[0], transformer.pos_conv_embed.conv
    attention = first.attention
    group = isinstance(blocks[0].layer_norm, nn.GroupNorm)
    config = SSLConfig(
        family=family,
        conv_layers=tuple(
            ConvLayerConfig(block.conv.out_channels, block.kernel_size, block.stride)
            for block in blocks
        ),
        conv_norm="group" if group else "layer",
        conv_bias=blocks[0].conv.bias is not None,
        embed_dim=projection.projection.out_features,
        num_heads=attention.num_heads,
        head_dim=attention.head_dim,
        layers=tuple(
            TransformerLayerConfig(
                tuple(range(layer.attention.num_heads)),
                layer.feed_forward.intermediate_dense.out_features,
            )
            for layer in transformer.layers
        ),
        norm_first=first.layer_norm_first,
        pos_conv_kernel=pos_conv.kernel_size[0],
        pos_conv_groups=pos_conv.groups,
        normalize_waveform=_normalizes(model, not group),
        projection_dropout=projection.dropout.p,
        attention_dropout=attention.dropout,
        ffn_dropout=first.feed_forward.intermediate_dropout.p,
        hidden_dropout=first.dropout.p,
    )
    if not hasattr(attention, "rel_attn_embed"):
        return config
    buckets = {name: getattr(attention, name) for name in ("num_buckets", "max_distance")}
    return replace(config, family="wavlm", **buckets)


def _normalizes(model: Any, layer_norms: bool) -> bool:
    if hasattr(model, "normalize_waveform"):
        return model.normalize_waveform
    logger.info(
        "torchaudio: a model without its bundle; waveforms are %s, as in the bundles with such a "
        "front end",
        "normalized" if layer_norms else "not normalized",
    )
    return layer_norms
