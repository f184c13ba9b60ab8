"""Gates: masks are pure functions of the parameters, sampling matches its probabilities."""

import copy

import pytest
import torch

from espnet_prune.encoder import open_masks
from espnet_prune.pruning import HardConcrete, HardConcreteGates
from tests.encoders import random_encoder, tiny_config


def test_open_probability_is_the_frequency():
    torch.manual_seed(0)
    gate = HardConcrete(4, drop_rate=0.5)
    gate.log_alpha.data = torch.tensor([-3.0, -1.0, 0.0, 2.0])
    draws = torch.stack([gate.sample() for _ in range(20000)])
    assert draws.min() == 0 and draws.max() == 1
    torch.testing.assert_close(
        (draws > 0).float().mean(0), gate.open_probability(), atol=0.02, rtol=0
    )


def test_initial_probabilities_are_the_published_ones():
    gates = HardConcreteGates(tiny_config())
    probabilities = gates.open_probabilities()
    assert abs(float(probabilities.conv[0].detach().mean()) - 0.998) < 1e-3
    assert abs(float(probabilities.ffn[0].detach().mean()) - 0.832) < 1e-2


def test_mask_closes_as_many_as_expected_and_caches_nothing():
    gate = HardConcrete(10, drop_rate=0.5).eval()
    gate.log_alpha.data = torch.linspace(-6, 6, 10)
    first = gate.mask()
    assert int((first == 0).sum()) == round(float((1 - gate.open_probability()).detach().sum()))
    assert (first.diff() >= 0).all()
    gate.load_state_dict({"log_alpha": torch.full((10,), 9.0)})
    assert (gate.mask() > 0.9).all()
    assert torch.equal(copy.deepcopy(gate).mask(), gate.mask())


def test_training_samples_and_evaluation_does_not():
    gates = HardConcreteGates(tiny_config(), units=("head", "ffn"), drop_rates={"head": 0.5})
    assert gates().conv == (None, None, None)
    assert not torch.equal(gates().head[0], gates().head[0])
    gates.eval()
    assert torch.equal(gates().head[0], gates().head[0])


def test_every_unit_can_be_gated_and_gets_a_gradient():
    config = tiny_config()
    gates = HardConcreteGates(
        config, units=tuple(open_masks(config)._fields), drop_rates={"head": 0.5}
    )
    masks = gates()
    encoder = random_encoder(config)
    torch.manual_seed(1)
    encoder(torch.randn(1, 900), masks=masks).hidden_states[-1].square().sum().backward()
    touched = {name for name, p in gates.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name.split("_")[0].removeprefix("gates.") for name in touched} >= {"head", "ffn"}
    assert all(p.grad is not None for p in gates.parameters())


def test_emptied_sublayers_have_no_gate():
    config = tiny_config()
    layers = (config.layers[0], type(config.layers[0])((), 0), config.layers[2])
    gates = HardConcreteGates(tiny_config(layers=layers), units=("head", "ffn", "attention_layer"))
    masks = gates.masks()
    assert masks.head[1] is None and masks.ffn[1] is None and masks.attention_layer[1] is None


def test_unknown_unit_is_refused():
    with pytest.raises(
        ValueError, match="expected units of hard_concrete of conv, .* found 'heads'"
    ):
        HardConcreteGates(tiny_config(), units=("heads",))
