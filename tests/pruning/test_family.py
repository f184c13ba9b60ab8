"""One training, a family of models: the gates' order, cut to other budgets."""

import pytest
import torch

from espnet_prune.encoder import SSLEncoder
from espnet_prune.encoder.masks import UNITS
from espnet_prune.pruning import apply, count_macs, count_params
from tests.pruning.training import big_encoder, train

SECONDS = 0.05


@pytest.fixture(scope="module", params=["hard_concrete", "self_pinching"])
def trained(request):
    units = {"self_pinching": ("channel", "head", "row")}.get(request.param)
    encoder = big_encoder()
    config = dict(target=0.5, gate=request.param, units=units, lambda2=300.0)
    pruner = train(encoder, 300, **config)
    with torch.no_grad():  # of a gate each: no two close at once
        for parameter in pruner.gates.parameters():
            parameter.add_(1e-3 * torch.randn_like(parameter))
    return encoder, pruner


def kept(pruner, encoder):
    masks = pruner.gates.masks(encoder)
    return {
        (kind, layer, unit)
        for kind in UNITS
        for layer, mask in enumerate(getattr(masks, kind))
        if mask is not None
        for unit in mask.nonzero().flatten().tolist()
    }


@pytest.mark.parametrize("target", [0.3, 0.6, 0.7])
def test_each_target_is_met_and_the_smaller_is_within_the_larger(trained, target):
    encoder, pruner = trained
    other = pruner.at(encoder, {"target": target, "tolerance": 0.02})
    small = other.apply_to(encoder)
    sparsity = 1 - count_params(small.config).total / count_params(encoder.config).total
    assert abs(sparsity - target) < 0.02
    larger = pruner.at(encoder, {"target": target - 0.1, "tolerance": 0.02})
    assert kept(other, encoder) < kept(larger, encoder)
    assert small.history[-1]["target"] == target


def test_another_budget_than_that_of_the_training(trained):
    encoder, pruner = trained
    changes = {"budget": "macs", "target": 0.4, "tolerance": 0.02}
    small = pruner.at(encoder, changes).apply_to(encoder)
    macs = [count_macs(each.config, SECONDS).total for each in (small, encoder)]
    assert abs(1 - macs[0] / macs[1] - 0.4) < 0.02


def test_masked_equals_applied(trained):
    encoder, pruner = trained
    masks, wavs = pruner.at(encoder, {"target": 0.6}).gates.masks(encoder), torch.randn(2, 2000)
    config, state = apply(encoder.config, encoder.state_dict(), masks)
    small = SSLEncoder(config).eval()
    small.load_state_dict(state)
    with torch.no_grad():
        masked, applied = encoder(wavs, masks=masks).hidden_states, small(wavs).hidden_states
    torch.testing.assert_close(masked[-1], applied[-1], atol=1e-5, rtol=1e-4)


def test_single_weights_have_no_order():
    encoder = big_encoder()
    pruner = train(encoder, 1, target=0.5, gate="self_pinching")
    with pytest.raises(ValueError, match="expected gates on whole units"):
        pruner.at(encoder, {"target": 0.3})
