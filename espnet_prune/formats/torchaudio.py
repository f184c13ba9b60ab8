"""torchaudio's ``Wav2Vec2Model``: WavLM, HuBERT and wav2vec 2.0, as a module or as a bundle's name.

Its ``extract_features`` gives states 1 to N, in pre-norm models the last one without the final
LayerNorm, which its ``forward`` applies.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.config import ConvLayerConfig, SSLConfig, TransformerLayerConfig
from espnet_prune.encoder.model import SSLEncoder
from espnet_prune.formats import huggingface_waveform
from espnet_prune.formats.conversion import Table, assume_normalized, build_encoder, renamed

_LAYER = "encoder.transformer.layers.N"


def _place(name: str) -> str:
    if name.startswith("encoder."):
        return name.replace("encoder.", "encoder.transformer.", 1)
    return f"encoder.{name}" if name.startswith("feature_projection.") else name


TABLE: Table = renamed(huggingface_waveform.TABLE, _place)
"""From our names to torchaudio's, which DPHuBERT and DiariZen took over: those of transformers in
other places."""

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
    its front end has layer norms, as in every bundle. ``family`` is what an encoder without
    position bias is to be called: HuBERT and wav2vec 2.0 are the same modules.
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
    """Download the weights of a bundle such as ``HUBERT_BASE``, and import its encoder."""
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
            f"({reason}); check the network, and remove a damaged file from torch.hub's folder "
            "checkpoints"
        ) from error
    return import_torchaudio(model, "hubert" if name.startswith("HUBERT") else "wav2vec2")


def _config(model: Any, inner: Any, family: str) -> SSLConfig:
    # Dropped: layer_drop (training of the original only).
    blocks = inner.feature_extractor.conv_layers
    projection, transformer = inner.encoder.feature_projection, inner.encoder.transformer
    first, pos_conv = transformer.layers[0], transformer.pos_conv_embed.conv
    attention = first.attention
    layers_norm = not isinstance(blocks[0].layer_norm, nn.GroupNorm)
    norm: Literal["group", "layer"] = "layer" if layers_norm else "group"
    if hasattr(model, "normalize_waveform"):
        normalize = model.normalize_waveform
    else:
        normalize = assume_normalized(norm == "layer", "torchaudio", "a model without its bundle")
    buckets = {}
    if hasattr(attention, "rel_attn_embed"):
        family = "wavlm"
        buckets = {name: getattr(attention, name) for name in ("num_buckets", "max_distance")}
    return SSLConfig(
        family=family,
        conv_layers=tuple(
            ConvLayerConfig(block.conv.out_channels, block.kernel_size, block.stride)
            for block in blocks
        ),
        conv_norm=norm,
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
        normalize_waveform=normalize,
        projection_dropout=projection.dropout.p,
        attention_dropout=attention.dropout,
        ffn_dropout=first.feed_forward.intermediate_dropout.p,
        hidden_dropout=first.dropout.p,
        **buckets,
    )
