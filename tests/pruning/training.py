"""A training of gates alone, for the tests."""

import torch

from espnet_prune.encoder import ConvLayerConfig
from espnet_prune.pruning import Pruner, PruningConfig
from tests.encoders import random_encoder, tiny_config


def big_encoder(family="wavlm", size="large"):
    """Fine enough for half a percent: a unit is a small share of the whole."""
    config = tiny_config(family, size)
    conv = tuple(ConvLayerConfig(48, c.kernel, c.stride) for c in config.conv_layers)
    layers = tuple(type(layer)(layer.heads, 60) for layer in config.layers)
    return random_encoder(tiny_config(family, size, layers=layers, conv_layers=conv))


def train(encoder, steps, rate=0.2, **config):
    """A pruner of ``encoder`` after ``steps`` under its penalty alone."""
    torch.manual_seed(0)
    defaults = dict(warmup_steps=100, gate_lr=rate, multiplier_lr=rate, reference_seconds=0.05)
    pruner = Pruner(encoder, PruningConfig(**{**defaults, **config}))
    optimizer = torch.optim.AdamW(pruner.parameter_groups())
    for _ in range(steps):
        optimizer.zero_grad()
        pruner.penalty(encoder).loss.backward()
        optimizer.step()
    return pruner.eval()
