"""Small models in files that s3prl's own upstreams read, dense and pruned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from espnet_prune.encoder import PRESETS, Masks, SSLConfig, SSLEncoder
from espnet_prune.pruning import apply
from tests.encoders import random_masks
from tests.formats.fairseq_models import s3prl_checkpoint, s3prl_model, small_config
from tests.formats.parity import randomise


def published_config(name: str) -> SSLConfig:
    """A preset's strides, which s3prl counts on, in a small model.

    Without dropout, training gives the values of evaluation.
    """
    layers = (replace(layer, channels=40) for layer in PRESETS[name]().conv_layers)
    dropouts = dict.fromkeys(
        ("projection_dropout", "attention_dropout", "ffn_dropout", "hidden_dropout"), 0.0
    )
    return replace(small_config(name), conv_layers=tuple(layers), **dropouts)


def write_dense(folder: Path, config: SSLConfig) -> tuple[Path, Path]:
    """Write random weights in the format of ``{family}_local``; the original and ours are one."""
    path = folder / "published.pt"
    torch.save(s3prl_checkpoint(config, randomise(s3prl_model(config))), path)
    return path, path


def write_pruned(folder: Path, config: SSLConfig) -> tuple[Path, Path]:
    """Write a masked original in the format of ``{family}_local``, and a folder with it pruned.

    s3prl's code knows of no mask: the masks are in the weights. Channels are masked where the
    original's norms take no statistics over them, which is before the last of a base model.
    """
    path, _ = write_dense(folder, config)
    encoder = SSLEncoder.from_pretrained(path)
    units = ("head", "ffn") if config.conv_norm == "layer" else ("conv", "head", "ffn")
    masks = random_masks(config, units=units)
    for mask, value in ((masks.conv[-1], 1.0), (masks.head[1], 0.0), (masks.ffn[2], 0.0)):
        mask.fill_(value)
    pruned_config, pruned_weights = apply(config, encoder.state_dict(), masks)
    pruned = SSLEncoder(pruned_config)
    pruned.load_state_dict(pruned_weights)
    pruned.save_pretrained(folder / "pruned")

    checkpoint = torch.load(path, weights_only=True)
    _mask(checkpoint["model" if config.family == "wavlm" else "model_weight"], masks)
    torch.save(checkpoint, path)
    return path, folder / "pruned"


def _mask(weights: dict[str, Tensor], masks: Masks) -> None:
    """Multiply what the next linear map takes from a unit by the unit's mask."""
    for index, mask in enumerate(masks.conv[:-1], start=1):
        weights[f"feature_extractor.conv_layers.{index}.0.weight"] *= mask[:, None]
    for index, (head, ffn) in enumerate(zip(masks.head, masks.ffn, strict=True)):
        out_proj = weights[f"encoder.layers.{index}.self_attn.out_proj.weight"]
        out_proj *= head.repeat_interleave(out_proj.size(1) // len(head))
        weights[f"encoder.layers.{index}.fc2.weight"] *= ffn
