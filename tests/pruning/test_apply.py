"""Promise 1: the masked model and the smaller one built from it give the same output."""

import sys

import pytest
import torch

from espnet_prune.encoder import SSLEncoder, open_masks
from espnet_prune.encoder.masks import UNITS
from espnet_prune.encoder.norm import OpenLayerNorm
from espnet_prune.pruning import apply, count_params, masked_widths
from tests.encoders import KINDS, NORMS, random_encoder, random_masks, thin_config, tiny_config

# The function shadows its module's name in the package.
apply_module = sys.modules["espnet_prune.pruning.apply"]


def closed(config, **units):
    """Open masks, but with the vectors named in ``units`` {unit: [layers]} closed."""
    masks = open_masks(config)
    for unit, layers in units.items():
        vectors = list(getattr(masks, unit))
        for index in layers:
            vectors[index] = torch.zeros_like(vectors[index])
        masks = masks._replace(**{unit: tuple(vectors)})
    return masks


def assert_close(ours, theirs, tolerance=1e-5):
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, atol=tolerance, rtol=tolerance)


def assert_masked_equals_applied(config, masks, seed=0):
    encoder = random_encoder(config, seed)
    smaller_config, state = apply(config, encoder.state_dict(), masks)
    smaller = SSLEncoder(smaller_config).eval()
    smaller.load_state_dict(state, strict=True)
    wavs, lengths = torch.randn(2, 900), torch.tensor([900, 600])
    with torch.no_grad():
        masked = encoder(wavs, lengths, masks).hidden_states
        applied = smaller(wavs, lengths).hidden_states
    # Two thin maps of random weights multiply roundings.
    assert_close(masked, applied, 5e-5 if any(layer.ranks for layer in config.layers) else 1e-5)
    built = sum(parameter.numel() for parameter in smaller.parameters())
    assert built == count_params(smaller_config).total
    assert built == int(count_params(config, masked_widths(config, masks)).total)
    return smaller_config


@pytest.mark.parametrize("family, size", KINDS)
@pytest.mark.parametrize("units", [*((unit,) for unit in UNITS), UNITS])
@pytest.mark.parametrize("seed, make", [(0, tiny_config), (1, tiny_config), (2, thin_config)])
def test_masked_equals_applied(family, size, units, seed, make):
    config = make(family, size)
    assert_masked_equals_applied(config, random_masks(config, seed, units), seed)


@pytest.mark.parametrize("family, size", KINDS)
def test_all_units_of_a_sublayer_closed(family, size):
    config = tiny_config(family, size)
    smaller = assert_masked_equals_applied(config, closed(config, head=[0], ffn=[1, 2]))
    assert smaller.layers[0].heads == () and smaller.layers[1].ffn == 0


@pytest.mark.parametrize("family, size", KINDS)
def test_whole_sublayers_closed(family, size):
    config = tiny_config(family, size)
    masks = closed(config, attention_layer=[0, 2], ffn_layer=[0])
    assert_masked_equals_applied(config, masks)


@pytest.mark.parametrize("size", NORMS)
@pytest.mark.parametrize("changes", [{"channel_scale": True}, {"final_norm": False}])
def test_masked_equals_applied_in_imported_encoders(size, changes):
    config = tiny_config("wavlm", size, **changes)
    assert_masked_equals_applied(config, random_masks(config))


@pytest.mark.parametrize("family, size", KINDS)
def test_one_channel_left(family, size):
    config = tiny_config(family, size)
    masks = open_masks(config)
    one = tuple(torch.eye(len(mask))[1] * 0.4 for mask in masks.conv)
    smaller = assert_masked_equals_applied(config, masks._replace(conv=one))
    assert {layer.channels for layer in smaller.conv_layers} == {1}


def test_no_channel_left_is_refused():
    config = tiny_config()
    with pytest.raises(ValueError, match="convolution 1; keep at least one"):
        apply(config, random_encoder(config).state_dict(), closed(config, conv=[1]))


def test_kept_heads_are_original_indices():
    config = tiny_config()
    masks = open_masks(config)
    heads = (masks.head[0], torch.tensor([0.0, 0.5, 0.9]), masks.head[2])
    smaller, _ = apply(config, random_encoder(config).state_dict(), masks._replace(head=heads))
    assert smaller.layers[1].heads == (2, 3)


def test_apply_is_pure():
    config = tiny_config()
    encoder = random_encoder(config)
    state = encoder.state_dict()
    before = {name: tensor.clone() for name, tensor in state.items()}
    apply(config, state, random_masks(config))
    assert all(torch.equal(state[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("family, size", KINDS)
def test_pruning_again_equals_masking_again(family, size):
    config = tiny_config(family, size)
    dense = random_encoder(config).state_dict()
    first_config, first_state = apply(config, dense, random_masks(config, 3))
    first = SSLEncoder(first_config).eval()
    first.load_state_dict(first_state)
    masks = random_masks(first_config, 4)
    second_config, second_state = apply(first_config, first_state, masks)
    second = SSLEncoder(second_config).eval()
    second.load_state_dict(second_state, strict=True)
    wavs = torch.randn(1, 800)
    assert_close(second(wavs).hidden_states, first(wavs, masks=masks).hidden_states)
    for former, latter in zip(first_config.layers, second_config.layers, strict=True):
        assert set(latter.heads) <= set(former.heads)


@pytest.mark.parametrize("size", NORMS)
def test_kept_indices_are_the_dense_models_after_two_rounds(size):
    config = tiny_config("wavlm", size)
    dense = random_encoder(config).state_dict()
    pruned, state = config, dense
    for seed in (3, 4):
        masks = random_masks(pruned, seed, ("conv", "head", "ffn"))
        pruned, state = apply(pruned, state, masks)
    for index, layer in enumerate(pruned.layers):
        if layer.ffn:
            name = f"layers.{index}.feed_forward.fc1.weight"
            assert torch.equal(state[name], dense[name][list(layer.ffn_kept)])
        if layer.heads:
            name = f"layers.{index}.attention.position_gate.scale"
            before = [config.layers[index].heads.index(head) for head in layer.heads]
            assert torch.equal(state[name], dense[name][before])
    for index, layer in enumerate(pruned.conv_layers):
        name = f"front_end.conv_layers.{index}.norm.bias"
        if name in state:
            assert torch.equal(state[name], dense[name][list(layer.kept)])
    assert torch.equal(state["front_end.norm.bias"], dense["front_end.norm.bias"][list(layer.kept)])


def closed_channels_in_the_statistics(monkeypatch):
    def plain(self, x, mask=None):
        return torch.nn.LayerNorm.forward(self, x)

    monkeypatch.setattr(OpenLayerNorm, "forward", plain)


def lost_output_bias(monkeypatch):
    def forget(state, prefix, output, gate):
        lose(state, prefix, output, gate * 0)

    lose = apply_module._leave_bias
    monkeypatch.setattr(apply_module, "_leave_bias", forget)


def values_not_folded(monkeypatch):
    filled = apply_module._filled
    monkeypatch.setattr(
        apply_module, "_filled", lambda *args: [(mask > 0).float() for mask in filled(*args)]
    )


@pytest.mark.parametrize(
    "defect", [closed_channels_in_the_statistics, lost_output_bias, values_not_folded]
)
@pytest.mark.parametrize("size", ["base", "large"])
def test_the_predecessors_defects_are_noticed(monkeypatch, defect, size):
    config = tiny_config("wavlm", size)
    masks = random_masks(config, 0)._replace(head=closed(config, head=[0]).head)
    assert_masked_equals_applied(config, masks)
    defect(monkeypatch)
    with pytest.raises(AssertionError, match="not close"):
        assert_masked_equals_applied(config, masks)
