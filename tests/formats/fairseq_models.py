"""s3prl's copies of fairseq's and Microsoft's models, the files they come in, what they compute."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from espnet_prune.encoder import PRESETS, ConvLayerConfig, SSLConfig, TransformerLayerConfig
from tests.formats.parity import Original

NAMES = (
    "wavlm_base",
    "wavlm_large",
    "hubert_base",
    "hubert_large",
    "wav2vec2_base",
    "wav2vec2_large",
    "wav2vec2_large_lv60k",
)


def small_config(name: str) -> SSLConfig:
    """A preset's kind of encoder with a few thousand parameters and dropouts of its own."""
    config = PRESETS[name]()
    width = 48 if name == "wav2vec2_large" else 32
    config = replace(
        config,
        conv_layers=(
            ConvLayerConfig(16, 10, 5),
            ConvLayerConfig(16, 3, 2),
            ConvLayerConfig(16, 3, 2),
            ConvLayerConfig(12, 2, 2),
        ),
        embed_dim=width,
        num_heads=4,
        head_dim=width // 4,
        layers=(TransformerLayerConfig((0, 1, 2, 3), 40),) * 3,
        pos_conv_kernel=8 if config.norm_first else 7,
        pos_conv_groups=4,
        projection_dropout=0.4,
        attention_dropout=0.2,
        ffn_dropout=0.3,
        hidden_dropout=0.1,
    )
    if config.family == "wavlm":
        config = replace(config, num_buckets=32, max_distance=64)
    return config


def model_cfg(config: SSLConfig) -> dict[str, Any]:
    """The values of ``config`` and of pre-training under the originals' names."""
    runs = [(shape, len(list(run))) for shape, run in groupby(config.conv_layers)]
    values = {
        "extractor_mode": {"group": "default", "layer": "layer_norm"}[config.conv_norm],
        "encoder_layers": len(config.layers),
        "encoder_embed_dim": config.embed_dim,
        "encoder_ffn_embed_dim": config.layers[0].ffn,
        "encoder_attention_heads": config.num_heads,
        "activation_fn": "gelu",
        "dropout": config.hidden_dropout,
        "attention_dropout": config.attention_dropout,
        "activation_dropout": config.ffn_dropout,
        "encoder_layerdrop": 0.05,
        "dropout_input": config.projection_dropout,
        "dropout_features": 0.5,
        "layer_norm_first": config.norm_first,
        "conv_feature_layers": " + ".join(
            f"[({shape.channels},{shape.kernel}, {shape.stride})]" + f" * {times}" * (times > 1)
            for shape, times in runs
        ),
        "conv_bias": config.conv_bias,
        "feature_grad_mult": 0.1,
        "mask_length": 10,
        "mask_prob": 0.8,
        "conv_pos": config.pos_conv_kernel,
        "conv_pos_groups": config.pos_conv_groups,
    }
    if config.family == "hubert":
        return {**values, "_name": "hubert", "label_rate": 50.0, "final_dim": 8, "target_glu": True}
    if config.family == "wav2vec2":
        own = {"quantize_targets": True, "latent_vars": 6, "final_dim": 8, "pos_conv_depth": 1}
        return {**values, "_name": "wav2vec2", **own}
    values.update(relative_position_embedding=True, gru_rel_pos=True)
    values.update(
        expand_attention_head_size=-1,
        num_buckets=config.num_buckets,
        max_distance=config.max_distance,
    )
    # Microsoft's Base files have no such key.
    return {**values, "normalize": True} if config.normalize_waveform else values


def s3prl_model(config: SSLConfig) -> nn.Module:
    """The original of ``config``, as it starts."""
    torch.manual_seed(0)
    values = {key: value for key, value in model_cfg(config).items() if key != "_name"}
    if config.family == "wavlm":
        wavlm = pytest.importorskip("s3prl.upstream.wavlm.WavLM")
        return wavlm.WavLM(wavlm.WavLMConfig(values))
    if config.family == "hubert":
        hubert = pytest.importorskip("s3prl.upstream.hubert.hubert_model")
        task = hubert.HubertPretrainingConfig(label_rate=50.0)
        return hubert.HubertModel(hubert.HubertConfig(**values), task, [SYMBOLS])
    wav2vec2 = pytest.importorskip("s3prl.upstream.wav2vec2.wav2vec2_model")
    return wav2vec2.Wav2Vec2Model(wav2vec2.Wav2Vec2Config(**values))


SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>", "0", "1"]


def s3prl_checkpoint(config: SSLConfig, model: nn.Module) -> dict[str, Any]:
    """The contents of a file that s3prl's own upstream of the family reads."""
    if config.family == "wavlm":
        return {"cfg": model_cfg(config), "model": model.state_dict()}
    task = {"_name": "pretraining", "data": "/data", "normalize": config.normalize_waveform}
    parts = {"model_cfg": model_cfg(config), "task_cfg": task, "model_weight": model.state_dict()}
    return {**parts, "dictionaries_symbols": [SYMBOLS]} if config.family == "hubert" else parts


def s3prl_original(family: str, path: Path, dtype: torch.dtype = torch.float32) -> Original:
    """s3prl's upstream of the file, all of it in ``dtype``."""
    expert = pytest.importorskip(f"s3prl.upstream.{family}.expert").UpstreamExpert(str(path)).eval()
    if dtype != torch.float32:
        _leave_float32(expert.to(dtype).model)
    return lambda wavs: expert(list(wavs))["hidden_states"]


def _leave_float32(model: nn.Module) -> None:
    # Two norms and the GELU compute in float32 whatever the model's type is.
    for module in model.modules():
        if type(module).__name__.startswith("Fp32"):
            plain = nn.LayerNorm if isinstance(module, nn.LayerNorm) else nn.GroupNorm
            module.forward = partial(plain.forward, module)
    for layer in model.encoder.layers:
        layer.activation_fn = F.gelu


def fairseq_checkpoints(converted: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What fairseq itself has written over the years of a model that s3prl has converted."""
    model, task, state = (converted[key] for key in ("model_cfg", "task_cfg", "model_weight"))
    fine_tuned = {f"w2v_encoder.w2v_model.{key}": value for key, value in state.items()}
    fine_tuned["w2v_encoder.proj.weight"] = torch.zeros(3, model["encoder_embed_dim"])
    values = {**task, **model, "task": task["_name"], "arch": model["_name"]}
    args = Namespace(**{key: value for key, value in values.items() if key != "_name"})
    nested = {"_name": None, "common": {"fp16": True}, "model": model, "task": task}
    ctc = {"_name": "hubert_ctc", "dropout": 0.9, "normalize": task["normalize"]}
    return {
        "cfg": {"args": None, "cfg": nested, "model": state},
        "args": {"args": args, "model": state},
        "fine-tuned cfg": {
            "args": None,
            "cfg": {"model": {**ctc, "w2v_args": nested}, "task": task},
            "model": fine_tuned,
        },
        "fine-tuned cfg of args": {
            "cfg": {"model": {**ctc, "w2v_args": args}, "task": task},
            "model": fine_tuned,
        },
        "fine-tuned args": {
            "args": Namespace(arch="wav2vec_ctc", dropout=0.9, w2v_args=args),
            "model": fine_tuned,
        },
    }


def lengths_counted_alike(config: SSLConfig, longest: int) -> tuple[int, int, int]:
    """Samples of three items, ``longest`` first, of whose padding no frame counts as real.

    WavLM's and HuBERT's code divides a batch into as many blocks of samples as there are frames,
    and takes a frame for real if any sample of its block is.
    """
    frames = config.num_frames(longest)
    block = longest // frames
    alike = [block * n for n in range(1, frames) if config.num_frames(block * n) == n]
    return longest, alike[-1], alike[0]
