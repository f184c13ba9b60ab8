"""Self-pinching: what every version of it must hold, structured or not."""

import copy

import pytest
import torch

from espnet_prune.encoder import SSLEncoder
from espnet_prune.pruning import (
    BudgetMissed,
    PinchedUnits,
    PinchedWeights,
    Pruner,
    PruningConfig,
    SelfPinching,
    apply,
    count_params,
    thresholds,
)
from tests.encoders import KINDS, random_encoder, tiny_config
from tests.pruning.training import big_encoder, train

GRANULARITIES = [
    ("weight",),
    ("channel",),
    ("head",),
    ("row",),
    ("column",),
    ("channel", "head", "row"),
]


def pinched(encoder, units):
    return Pruner(encoder, PruningConfig(0.05, 1, gate="self_pinching", units=units))


def set_thresholds(pruner, value):
    with torch.no_grad():
        for parameter in pruner.gates.parameters():
            parameter.fill_(value)


def gated(pruner, encoder, wavs):
    with torch.no_grad():
        return pruner(encoder, wavs).hidden_states[-1]


@pytest.mark.parametrize("units", GRANULARITIES)
def test_one_parameter_per_gated_layer(units):
    encoder = random_encoder(tiny_config())
    gates = pinched(encoder, units).gates
    sizes = {"channel": 3, "head": 3, "row": 3, "column": 3, "weight": 3 + 1 + 1 + 3 * 4}
    parameters = list(gates.parameters())
    assert len(parameters) == sum(sizes[unit] for unit in units)
    assert all(parameter.shape == () for parameter in parameters)


@pytest.mark.parametrize("family, size", KINDS)
@pytest.mark.parametrize("units", GRANULARITIES)
def test_threshold_zero_is_the_dense_model(family, size, units):
    encoder = random_encoder(tiny_config(family, size))
    pruner = pinched(encoder, units)
    set_thresholds(pruner, 0.0)
    wavs = torch.randn(2, 900)
    torch.testing.assert_close(
        gated(pruner, encoder, wavs), encoder(wavs).hidden_states[-1].detach()
    )
    assert float(pruner.penalty(encoder).stats["sparsity"]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("units", GRANULARITIES)
def test_a_higher_threshold_never_keeps_more(units):
    encoder = random_encoder(tiny_config())
    pruner = pinched(encoder, units)
    found = []
    for value in torch.linspace(0, 4, 20):
        set_thresholds(pruner, float(value))
        found.append(float(pruner.penalty(encoder).stats["sparsity"]))
    assert found == sorted(found) and found[0] < found[-1]


def test_sign_of_the_parameter_means_nothing():
    gate = SelfPinching(torch.randn(50), torch.zeros(()), 0.1)
    scores = torch.rand(50)
    with torch.no_grad():
        gate.threshold.fill_(0.7)
        mask = gate(scores)
        gate.threshold.fill_(-0.7)
        assert torch.equal(gate(scores), mask)


def test_loss_moves_thresholds_and_weights_across_them():
    scores = torch.linspace(0, 2, 41).requires_grad_()
    gate = SelfPinching(scores, torch.zeros(()), 0.1)
    with torch.no_grad():
        gate.threshold.fill_(1.0)
    mask = gate(scores)
    assert set(mask.tolist()) == {0.0, 1.0}
    mask.sum().backward()
    assert gate.threshold.grad < 0  # a higher threshold closes
    assert (scores.grad > 0).any()  # a larger weight opens: those near the threshold feel it
    assert scores.grad.argmax() == (scores - gate.scale).abs().argmin()


def test_weights_below_the_threshold_learn_from_the_task():
    encoder = random_encoder(tiny_config())
    pruner = pinched(encoder, ("weight",))
    set_thresholds(pruner, 0.3)
    pruner(encoder, torch.randn(1, 900)).hidden_states[-1].square().sum().backward()
    mask = pruner.gates.masks(encoder)["layers.0.feed_forward.fc1.weight"]
    weight = encoder.layers[0].feed_forward.fc1.weight
    assert (mask == 0).any() and weight.grad[mask == 0].any()


@pytest.mark.parametrize("target", [0.3, 0.65])
def test_non_zero_count_is_the_reported_one(target):
    encoder = big_encoder()
    pruner = train(encoder, 600, gate="self_pinching", target=target)
    sparse = pruner.apply_to(encoder)
    names = pruner.gates.sizes
    kept = sum(
        int(p.count_nonzero()) if name in names else p.numel()
        for name, p in sparse.named_parameters()
    )
    dense = count_params(encoder.config).total
    assert abs(1 - kept / dense - target) <= 0.0005
    assert sparse.config == encoder.config


def test_applied_weights_are_the_masked_ones():
    encoder = big_encoder("whisper", "own")
    pruner = train(encoder, 600, gate="self_pinching", target=0.4)
    wavs = torch.randn(1, 900)
    sparse = pruner.apply_to(encoder)
    settled = copy.deepcopy(pruner)
    with torch.no_grad():
        settled.gates._settle(encoder, settled.limits["total"], 0.005)
    torch.testing.assert_close(
        gated(settled, encoder, wavs), sparse(wavs).hidden_states[-1].detach()
    )


@pytest.mark.parametrize("family, size", KINDS)
def test_closed_units_can_be_cut(family, size):
    encoder = random_encoder(tiny_config(family, size))
    pruner = pinched(encoder, ("channel", "head", "row"))
    set_thresholds(pruner, 1.0)
    masks = pruner.gates.masks(encoder).map(torch.Tensor.detach)
    assert all(0 < mask.count_nonzero() < len(mask) for mask in masks.conv + masks.ffn)
    config, state = apply(encoder.config, encoder.state_dict(), masks)
    smaller = SSLEncoder(config).eval()
    smaller.load_state_dict(state)
    wavs = torch.randn(1, 900)
    torch.testing.assert_close(
        smaller(wavs).hidden_states[-1].detach(), gated(pruner, encoder, wavs), atol=1e-5, rtol=1e-5
    )


def test_saved_thresholds_give_the_same_masks():
    encoder = big_encoder()
    pruner = train(encoder, 100, gate="self_pinching", target=0.4)
    again = pinched(random_encoder(encoder.config, seed=5), ("weight",))
    again.load_state_dict(pruner.state_dict(), strict=True)
    for name, mask in pruner.gates.masks(encoder).items():
        assert torch.equal(mask, again.gates.masks(encoder)[name])


def test_thresholds_are_told_in_units_of_the_weights():
    encoder = big_encoder()
    pruner = train(encoder, 100, gate="self_pinching", target=0.4)
    found = thresholds(pruner)
    masks = pruner.gates.masks(encoder)
    assert found.keys() == masks.keys()
    for name, mask in masks.items():
        sizes, kept = encoder.get_parameter(name).detach().abs(), mask.detach() == 1
        assert sizes[kept].min() >= 0.9999 * found[name]
        assert sizes[~kept].max() <= 1.0001 * found[name]
    rows = thresholds(pinched(encoder, ("channel", "row")))
    assert rows.keys() == {f"{unit}_{i}" for unit in ("channel", "row") for i in range(3)}


def test_single_weights_save_no_computation_and_leave_widths():
    encoder = big_encoder()
    pruner = train(encoder, 400, gate="self_pinching", target=0.4)
    stats = pruner.penalty(encoder).stats
    dense = Pruner(encoder, PruningConfig(0.4, 1, reference_seconds=0.05)).gates.costs(encoder)
    assert (
        float(stats["expected_macs"])
        == pruner.gates.dense.macs.total
        >= float(dense.macs.total.detach())
    )
    with pytest.raises(ValueError, match="round_to 1"):
        pruner.apply_to(encoder, 8)


def test_far_from_the_target_is_refused():
    encoder = big_encoder()
    with pytest.raises(BudgetMissed, match="40.0%"):
        train(encoder, 3, gate="self_pinching", target=0.4).apply_to(encoder)


def test_both_kinds_are_exported():
    assert isinstance(pinched(big_encoder(), ("weight",)).gates, PinchedWeights)
    assert isinstance(pinched(big_encoder(), ("row",)).gates, PinchedUnits)
