"""Bytes are counted as they are used: weights exactly, activations as PyTorch allocates them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from espnet_prune.encoder import SSLEncoder
from espnet_prune.inference import inference_form
from espnet_prune.pruning import (
    Pruner,
    PruningConfig,
    apply,
    count_params,
    masked_widths,
    prepared,
)
from espnet_prune.pruning.budgets import BUDGETS
from tests.encoders import (
    KINDS,
    mini_config,
    random_encoder,
    random_masks,
    thin_config,
    tiny_config,
)
from tests.pruning.training import big_encoder, train

MEMORY = BUDGETS["memory"]()
CPU = [ProfilerActivity.CPU]
MINI = mini_config()
BASE = {"conv_norm": "group", "conv_bias": False, "norm_first": False, "normalize_waveform": False}


def allocated(config, seconds):
    """Bytes that the inference form allocates at once, at most, as PyTorch's allocator counts."""
    form = inference_form(SSLEncoder(config).eval())
    wav = torch.randn(1, round(seconds * 16000))
    form(wav)
    with torch.inference_mode(), profile(activities=CPU, profile_memory=True) as profiled:
        form(wav)
    events = profiled.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    return max(torch.tensor([change for _, change in changes]).cumsum(0)).item()


@pytest.mark.parametrize("family", ["wavlm", "hubert", "whisper"])
@pytest.mark.parametrize("seconds, seed", [(1, None), (1, 0), (3, 1)])
def test_activations_are_those_of_the_inference_form(family, seconds, seed):
    changes = {"layers": MINI.layers[:2]}
    if family == "whisper":
        dense = tiny_config("whisper", mel_bands=80, embed_dim=96, head_dim=24)
    else:
        changes |= BASE if family == "hubert" else {}
        dense = type(MINI)(**{**vars(MINI), **changes, "family": family})
    config = dense
    if seed is not None:
        masks = random_masks(dense, seed)
        config, _ = apply(dense, SSLEncoder(dense).state_dict(), masks)
    assert MEMORY.count(config, seconds).activations == pytest.approx(
        allocated(config, seconds), rel=0.05
    )


@pytest.mark.parametrize("ranks", [(40, 0, 30, 20), (20, 30, 0, 50)])
def test_what_passes_between_thin_maps_counts(ranks):
    layers = tuple(replace(layer, ranks=ranks) for layer in MINI.layers)
    config = replace(MINI, layers=layers)
    counted = MEMORY.count(config, 1).activations
    assert counted == pytest.approx(allocated(config, 1), rel=0.05)


@pytest.mark.parametrize("make", [tiny_config, thin_config])
@pytest.mark.parametrize("family, size", KINDS)
def test_masked_memory_is_that_of_the_applied_model(family, size, make):
    config = make(family, size)
    masks = random_masks(config, 0)
    smaller, _ = apply(config, random_encoder(config).state_dict(), masks)
    masked = MEMORY.count(config, 0.5, masked_widths(config, masks))
    built = MEMORY.count(smaller, 0.5)
    for part in MEMORY.parts:
        assert float(masked.part(part)) == built.part(part)
    kept = sum(p.numel() * p.element_size() for p in SSLEncoder(smaller).parameters())
    assert built.weights == kept == 4 * count_params(smaller).total
    half = BUDGETS["memory"]("bfloat16").count(smaller, 0.5)
    assert 2 * half.total == built.total


@pytest.mark.parametrize("target", [0.15, {"weights": 0.06, "activations": 0.07}])
def test_megabytes_are_reached(target):
    encoder = big_encoder()
    dense = MEMORY.count(encoder.config, 0.05)
    pruner = train(encoder, 600, budget="memory", target=target, tolerance=0.02)
    assert float(pruner.penalty(encoder).stats["expected_memory"]) < dense.total / 1e6
    found = MEMORY.count(pruner.apply_to(encoder).config, 0.05)
    above = [limit.target - limit.sparsity(found) for limit in pruner.limits.values()]
    assert abs(max(above)) <= 0.02


def test_thin_maps_are_cut_to_megabytes():
    config = PruningConfig(0.17, 0, gate="magnitude", units=("rank",), budget="memory",
                           reference_seconds=0.05, tolerance=0.02)  # fmt: skip
    encoder = prepared(big_encoder(), config)
    dense = MEMORY.count(encoder.config, 0.05).total
    small = Pruner(encoder, config).apply_to(encoder)
    assert MEMORY.count(small.config, 0.05).total == pytest.approx(0.17e6, abs=0.02 * dense)


def test_what_is_small_already_is_refused():
    encoder = big_encoder()
    config = PruningConfig(50.0, 1, budget="memory", reference_seconds=0.05)
    with pytest.raises(ValueError, match="a target below memory of .* MB .*, found memory of 50"):
        Pruner(encoder, config)
