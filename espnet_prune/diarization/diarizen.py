"""DiariZen's diarization models (Han et al., 2025), from the folders that its authors release."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from torch import Tensor

from espnet_prune.diarization.head import DiarizationConfig, HeadConfig, PowersetHead
from espnet_prune.diarization.powerset import Powerset
from espnet_prune.encoder import Featurizer
from espnet_prune.formats.conversion import Table, convert_config, convert_state
from espnet_prune.formats.diarizen import read_diarizen
from espnet_prune.storage.checkpoint import without_memory

_OURS, _THEIRS = "head.conformer.conformer_layers.N", "conformer.conformer_layer.N"
_LINEAR = f"{_THEIRS}.mha.mha.linear"
_TABLE: Table = {
    "featurizer.weights": "weight_sum.weight",
    "head.projection": "proj",
    "head.norm": "lnorm",
    f"{_OURS}.ffn1.sequential.0": f"{_THEIRS}.ffn1.ln_norm",
    f"{_OURS}.ffn1.sequential.1": f"{_THEIRS}.ffn1.w_1",
    f"{_OURS}.ffn1.sequential.4": f"{_THEIRS}.ffn1.w_2",
    f"{_OURS}.self_attn_layer_norm": f"{_THEIRS}.mha.ln_norm",
    f"{_OURS}.self_attn.in_proj_weight": tuple(f"{_LINEAR}{x}.weight" for x in "QKV"),
    f"{_OURS}.self_attn.in_proj_bias": tuple(f"{_LINEAR}{x}.bias" for x in "QKV"),
    f"{_OURS}.self_attn.out_proj": f"{_LINEAR}O",
    f"{_OURS}.conv_module.layer_norm": f"{_THEIRS}.conv.ln_norm",
    f"{_OURS}.conv_module.sequential.0": f"{_THEIRS}.conv.pointwise_conv1",
    f"{_OURS}.conv_module.sequential.2": f"{_THEIRS}.conv.depthwise_conv",
    f"{_OURS}.conv_module.sequential.3": f"{_THEIRS}.conv.bn_norm",
    f"{_OURS}.conv_module.sequential.5": f"{_THEIRS}.conv.pointwise_conv2",
    f"{_OURS}.ffn2.sequential.0": f"{_THEIRS}.ffn2.ln_norm",
    f"{_OURS}.ffn2.sequential.1": f"{_THEIRS}.ffn2.w_1",
    f"{_OURS}.ffn2.sequential.4": f"{_THEIRS}.ffn2.w_2",
    f"{_OURS}.final_layer_norm": f"{_THEIRS}.ln_norm",
    "head.classifier": "classifier",
}
_SUPPORTED = {"use_posi": False, "output_activate_function": False, "sample_rate": 16000}


def read_released(
    path: str | PathLike[str],
) -> tuple[Featurizer, DiarizationConfig, dict[str, Tensor]]:
    """The parts of a released model: its encoder with weights, its config, and its head's tensors.

    ``path`` is the folder, or the ``pytorch_model.bin`` in it. The window is the ``chunk_size``
    that it was trained on. ``selected_channel`` picks the channel of a recording; our models hear
    one channel, so the caller does. CheckpointError: the release is damaged, unsafe, of another
    kind or not supported.
    """
    args, encoder, weights = read_diarizen(path)
    featurizer = Featurizer(encoder)
    config = convert_config(args, _SUPPORTED, _config, path)
    classes = Powerset(config.max_speakers, config.max_simultaneous).num_classes
    # The shapes are compared before there is memory of their size.
    with without_memory():
        head = PowersetHead(featurizer.output_dim, classes, config.head)
    ours = {f"head.{name}": value for name, value in head.state_dict().items()}
    ours["featurizer.weights"] = featurizer.weights
    return featurizer, config, convert_state(ours, weights, _TABLE, {}, path)


def _config(args: Mapping[str, Any]) -> DiarizationConfig:
    # Dropped: wavlm_layer_num and wavlm_feat_dim, which the encoder tells. In training, the
    # original's convolutions drop out 0.1 whatever dropout is.
    head = HeadConfig(
        hidden=args["attention_in"],
        num_layers=args["num_layer"],
        num_heads=args["num_head"],
        ffn=args["ffn_hidden"],
        kernel=args["kernel_size"],
        dropout=args["dropout"],
        norm="batch",
    )
    return DiarizationConfig(
        head,
        max_speakers=args["max_speakers_per_chunk"],
        max_simultaneous=args["max_speakers_per_frame"],
        window_size=args["chunk_size"],
    )
