"""Promise 2: what is counted is what is built, in parameters and in MACs."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from espnet_prune.encoder import PRESETS, SSLEncoder, open_masks
from espnet_prune.pruning import apply, count_macs, count_params, expected_widths, masked_widths
from tests.encoders import KINDS, random_encoder, random_masks, tiny_config


def numel(config):
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in SSLEncoder(config).parameters())


@pytest.mark.parametrize("family, size", KINDS)
def test_counted_equals_built(family, size):
    config = tiny_config(family, size)
    assert count_params(config).total == numel(config)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_counted_as_built(name):
    assert count_params(PRESETS[name]()).total == numel(PRESETS[name]())


@pytest.mark.parametrize(
    "name, params, macs",
    [
        ("wavlm_base_plus", 94.38, 6.911),
        ("wavlm_large", 315.45, 17.811),
        ("wavlm_base_plus_s80", 18.88, 1.134),
        ("wavlm_large_s80", 63.10, 3.681),
    ],
)
def test_published_sizes(name, params, macs):
    config = PRESETS[name]()
    assert round(count_params(config).total / 1e6, 2) == params
    assert round(count_macs(config, seconds=1.0).total / 1e9, 3) == macs


@pytest.mark.parametrize("family, size", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_expected_cost_of_certain_gates_is_the_applied_cost(family, size, seed):
    config = tiny_config(family, size)
    masks = random_masks(config, seed)
    smaller, _ = apply(config, random_encoder(config).state_dict(), masks)
    widths = masked_widths(config, masks)
    assert (
        float(count_params(config, widths).total) == count_params(smaller).total == numel(smaller)
    )
    assert float(count_macs(config, 0.5, widths).total) == count_macs(smaller, 0.5).total


def test_expected_cost_is_the_mean_over_gates():
    config = tiny_config()
    torch.manual_seed(0)
    probabilities = open_masks(config).map(lambda mask: torch.rand_like(mask).double())
    expected = float(count_params(config, expected_widths(config, probabilities)).total)
    draws = [
        float(count_params(config, masked_widths(config, probabilities.map(torch.bernoulli))).total)
        for _ in range(3000)
    ]
    standard_error = torch.tensor(draws).std() / len(draws) ** 0.5
    assert abs(expected - sum(draws) / len(draws)) < 4 * standard_error


def uncounted(config, samples):
    """What the counter sees beyond the convention: position gates, and mel filters."""
    if config.family == "whisper":
        return (config.padded_samples or samples) // 160 * 402 * config.mel_bands
    heads = sum(len(layer.heads) for layer in config.layers) if config.family == "wavlm" else 0
    return config.num_frames(samples) * heads * config.head_dim * 8


@pytest.mark.parametrize("family, size", KINDS)
@pytest.mark.parametrize("pruned", [False, True])
def test_macs_equal_an_independent_counter(family, size, pruned):
    config = tiny_config(family, size)
    encoder = random_encoder(config)
    if pruned:
        config, state = apply(config, encoder.state_dict(), random_masks(config, 5))
        encoder = SSLEncoder(config).eval()
        encoder.load_state_dict(state)
    encoder.requires_grad_(False)
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):
        encoder(torch.randn(1, 8000))
    counted = count_macs(config, seconds=0.5).total + uncounted(config, 8000)
    assert counter.get_total_flops() / 2 == counted


@pytest.mark.parametrize("name", PRESETS)
def test_macs_of_the_published_shapes(name):
    config = PRESETS[name]()
    counter = FlopCounterMode(display=False)
    with FakeTensorMode():
        encoder = SSLEncoder(config).eval().requires_grad_(False)
        with counter, sdpa_kernel(SDPBackend.MATH):
            encoder(torch.zeros(1, 16000))
    counted = count_macs(config).total + uncounted(config, 16000)
    assert counter.get_total_flops() / 2 == counted


def test_cost_is_differentiable():
    config = tiny_config()
    probabilities = open_masks(config).map(lambda m: torch.full_like(m, 0.5).requires_grad_())
    widths = expected_widths(config, probabilities)
    (count_params(config, widths).total + count_macs(config, 1.0, widths).total).backward()
    for unit in probabilities:
        # No rank is there without thin maps.
        assert all((mask.grad > 0).all() for mask in unit if mask.numel())


def test_parts_sum_to_the_total():
    cost = count_params(PRESETS["wavlm_large"]())
    assert cost.total == sum(vars(cost).values())
