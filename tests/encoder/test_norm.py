"""Norms with statistics of what is inside: values and gradients against PyTorch's own."""

from __future__ import annotations

import torch

from espnet_prune.encoder.norm import OpenLayerNorm, TimeGroupNorm


def random_affine(norm):
    for parameter in norm.parameters():
        torch.nn.init.normal_(parameter)
    return norm.double()


def test_layer_norm_with_closed_channels_is_that_of_the_open_ones():
    torch.manual_seed(0)
    x, opened = (
        torch.randn(2, 5, 6, dtype=torch.double),
        torch.tensor([1, 0, 0.3, 1, 0, 2]).double(),
    )
    norm = random_affine(OpenLayerNorm(6))
    kept = opened > 0
    expected = torch.nn.functional.layer_norm(
        x[..., kept], (4,), norm.weight[kept], norm.bias[kept], norm.eps
    )
    torch.testing.assert_close(norm(x, opened)[..., kept], expected)


def test_layer_norm_of_no_open_channel_is_finite():
    x = torch.randn(1, 3, 4, requires_grad=True)
    OpenLayerNorm(4)(x, torch.zeros(4)).sum().backward()
    assert x.grad.isfinite().all()


def test_group_norm_is_that_of_each_item_alone():
    torch.manual_seed(0)
    x, lengths = torch.randn(3, 7, 4, dtype=torch.double), torch.tensor([7, 4, 1])
    norm = random_affine(TimeGroupNorm(4))
    batch = norm(x, lengths)
    for item, found, length in zip(x, batch, lengths.tolist(), strict=True):
        torch.testing.assert_close(found[:length], norm(item[None, :length], None)[0])


def test_gradients():
    torch.manual_seed(0)
    x = torch.randn(3, 6, 4, dtype=torch.double, requires_grad=True)
    layer_norm, group_norm = random_affine(OpenLayerNorm(4)), random_affine(TimeGroupNorm(4))
    opened, lengths = torch.tensor([1.0, 0.0, 0.5, 1.0]), torch.tensor([6, 4, 2])
    assert torch.autograd.gradcheck(lambda x: layer_norm(x, opened), x)
    assert torch.autograd.gradcheck(lambda x: group_norm(x, lengths), x)


def test_statistics_of_half_precision_are_taken_in_single():
    x = 100 + torch.randn(2, 400, 4)
    lengths, norm = torch.tensor([400, 300]), TimeGroupNorm(4)
    half = norm(x.bfloat16(), lengths)
    torch.testing.assert_close(half, norm(x.bfloat16().float(), lengths))
