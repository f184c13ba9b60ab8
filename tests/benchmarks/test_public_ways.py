"""The ways of others compute what ours does, with gates where they have them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("torchaudio")

from benchmarks.public_ways import WAYS, Model, Pair
from espnet_prune.encoder import open_masks
from tests.encoders import random_encoder, tiny_config

WAVS = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
DPHUBERT, DIARIZEN = WAYS["DPHuBERT's way"], WAYS["DiariZen's way"]
KINDS = pytest.mark.parametrize(
    "family, size", [("wavlm", "base"), ("wavlm", "large"), ("hubert", "base")]
)


def dense_encoder(family="wavlm", size="base"):
    layers = tiny_config().layers[:1] * 3
    return random_encoder(tiny_config(family, size, layers=layers), 1).eval()


def gates(model):
    return {name: gate for name, gate in model.named_parameters() if name.endswith("log_alpha")}


@torch.no_grad()
def decide(model, generator=None, convs=0):
    """Open every gate, or some at random, of the first ``convs`` convolutions alone.

    Returns 0 or 1 for each, by the names of the gates.
    """
    values = {}
    for name, gate in gates(model).items():
        block = name.split("conv_layers.")[1:]
        some = generator is not None and not (block and int(block[0].split(".")[0]) >= convs)
        kept = torch.rand(len(gate), generator=generator) > 0.4 if some else torch.ones(len(gate))
        values[name] = kept.float()
        gate.copy_(200 * values[name] - 100)  # no noise moves that
    return values


def masks_of(encoder, values):
    """The same for ours, in the order of the layers."""

    def those(part):
        return tuple(value for name, value in values.items() if part in name)

    conv, head, ffn = map(those, ("conv_layers.", "attention.", "output_dense."))
    return open_masks(encoder.config)._replace(conv=conv, head=head, ffn=ffn)


@KINDS
@pytest.mark.parametrize("seed", [None, 0, 1])
@torch.no_grad()
def test_gates_multiply_where_ours_do(family, size, seed):
    encoder = dense_encoder(family, size)
    model = Model(encoder, gated=True).eval()
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    # Where a LayerNorm is before a gate or behind it, theirs takes closed channels in.
    values = decide(model, generator, 0 if size == "large" else len(model.blocks) - 1)
    expected = encoder(WAVS, masks=masks_of(encoder, values)).hidden_states
    wavs = F.layer_norm(WAVS, WAVS.shape[1:]) if encoder.config.normalize_waveform else WAVS
    found = model.states(wavs, DIARIZEN)
    whole = len(found) - encoder.config.norm_first  # their last state is without the last norm
    torch.testing.assert_close(found[:whole], expected[:whole], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.states(wavs, DPHUBERT)[1:], found[1:], rtol=0, atol=0)
    assert generator is None or any(not value.all() for value in values.values())
    if generator is None:
        teacher = Model(encoder, gated=False).eval()
        torch.testing.assert_close(teacher.states(wavs, DIARIZEN), found, rtol=0, atol=0)


@KINDS
def test_the_size_is_that_of_the_parameters(family, size):
    model = Model(dense_encoder(family, size), gated=True)
    decide(model)
    own = [
        parameter.numel()
        for name, parameter in model.inner.named_parameters()
        if "log_alpha" not in name and "rel_" not in name  # those of WavLM's bias are not counted
    ]
    channels = model.scale.numel()
    assert model.expected_size().item() == sum(own) + channels
    with torch.no_grad():
        model.layers[1].feed_forward.output_dense.gate.log_alpha[:2] = -100.0
        model.layers[0].attention.gate.log_alpha[0] = -100.0
    width, head = 16, 4
    gone = 2 * (2 * width + 1) + head * (3 * (width + 1) + width)
    assert model.expected_size().item() == sum(own) + channels - gone


@pytest.mark.parametrize("way", [DPHUBERT, DIARIZEN], ids=[*WAYS])
def test_everything_but_the_teacher_learns(way):
    pair = Pair(dense_encoder(), [0, 1, 3])
    torch.nn.init.ones_(pair.multipliers)  # else few gates are soft enough to feel anything
    pair.loss(WAVS, way).backward()
    still = {name for name, each in pair.named_parameters() if each.grad is None}
    teacher = {name for name, _ in pair.named_parameters() if name.startswith("teacher.")}
    maps = {name for name, _ in pair.named_parameters() if name.startswith("maps.")}
    assert still == teacher | (set() if way.projected else maps)
    assert all(gate.grad.abs().sum() > 0 for gate in gates(pair.student).values())


def gradients(pair, way):
    torch.manual_seed(0)  # of gates and dropout
    pair.zero_grad()
    pair.loss(WAVS, way).backward()
    return {n: p.grad.clone() for n, p in pair.student.named_parameters() if p.grad is not None}


def test_the_gradient_of_convolutions_is_scaled():
    pair = Pair(dense_encoder(), [0, 1, 3])
    scaled = gradients(pair, DIARIZEN)
    plain = gradients(pair, DIARIZEN._replace(gradient=1.0))
    assert scaled.keys() == plain.keys() and any("conv_layers" in name for name in scaled)
    for name, gradient in plain.items():
        factor = 0.1 if "feature_extractor" in name else 1.0
        torch.testing.assert_close(scaled[name], factor * gradient, msg=name)
