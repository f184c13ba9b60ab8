"""Layer-wise distillation: zero distance to itself, padding left out, teacher without gradient."""

import pytest
import torch

from espnet_prune.distillation import LayerwiseDistillation
from espnet_prune.encoder import SSLEncoder
from espnet_prune.pruning import apply
from tests.encoders import KINDS, random_encoder, random_masks, tiny_config


def states(seed, frames=6):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, frames, 5, generator=generator) for _ in range(4)]


def test_a_perfect_student_has_no_distance():
    loss = LayerwiseDistillation([0, 2, 3])(states(0), states(0), torch.tensor([6, 4]))
    assert float(loss.l1) == 0 and float(loss.cosine) == pytest.approx(1)
    assert float(loss.total) == pytest.approx(-1)


def test_the_loss_is_the_formula():
    ours, theirs = states(0), states(1)
    loss = LayerwiseDistillation([1, 3], 0.5, 2.0)(ours, theirs, torch.tensor([6, 6]))
    a, b = torch.stack([ours[1], ours[3]]), torch.stack([theirs[1], theirs[3]])
    cosine = (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))
    expected = 0.5 * (a - b).abs().mean() - 2.0 * cosine.mean()
    torch.testing.assert_close(loss.total, expected)


def test_padding_does_not_count():
    ours, theirs = states(0), states(1)
    lengths = torch.tensor([6, 3])
    before = LayerwiseDistillation([0])(ours, theirs, lengths).total
    theirs[0][1, 3:] = 100.0
    assert LayerwiseDistillation([0])(ours, theirs, lengths).total == before


def test_gradients_reach_the_student_only():
    ours = [state.requires_grad_() for state in states(0)]
    theirs = [state.requires_grad_() for state in states(1)]
    LayerwiseDistillation([2])(ours, theirs, torch.tensor([6, 6])).total.backward()
    assert ours[2].grad is not None and theirs[2].grad is None


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="layers to distil"):
        LayerwiseDistillation([])
    with pytest.raises(ValueError, match="expected layers up to 3"):
        LayerwiseDistillation([4])(states(0), states(1), torch.tensor([6, 6]))
    with pytest.raises(ValueError, match="different layers among"):
        LayerwiseDistillation([0, 2], projection_groups=[[0], [0, 2]], width=5)
    with pytest.raises(ValueError, match="different layers among"):
        LayerwiseDistillation([0, 2], projection_groups=[[3]], width=5)
    with pytest.raises(ValueError, match="width"):
        LayerwiseDistillation([0, 2], projection_groups=[[0]])


def test_projections_start_as_the_identity_and_are_shared():
    ours, theirs, lengths = states(0), states(1), torch.tensor([6, 4])
    plain = LayerwiseDistillation([0, 2, 3])
    projected = LayerwiseDistillation([0, 2, 3], projection_groups=[[0], [2, 3]], width=5)
    assert projected(ours, theirs, lengths).total == plain(ours, theirs, lengths).total
    assert sum(p.numel() for p in projected.parameters()) == 2 * (5 * 5 + 5)
    with torch.no_grad():
        projected.projections[1].weight.mul_(2)
    doubled = [ours[0], ours[1], 2 * ours[2], 2 * ours[3]]
    torch.testing.assert_close(
        projected(ours, theirs, lengths).total, plain(doubled, theirs, lengths).total
    )
    projected(ours, theirs, lengths).total.backward()
    assert all(p.grad is not None and p.grad.any() for p in projected.parameters())


@pytest.mark.parametrize("family, size", KINDS)
def test_a_pruned_student_learns_from_its_teacher(family, size):
    teacher = random_encoder(tiny_config(family, size))
    units = ("conv", "head", "ffn")
    config, state = apply(
        teacher.config, teacher.state_dict(), random_masks(teacher.config, 1, units)
    )
    student = SSLEncoder(config).eval()
    student.load_state_dict(state)
    wavs, lengths = torch.randn(2, 2000), torch.tensor([2000, 1200])
    theirs = teacher(wavs, lengths)
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)
    distillation, losses = LayerwiseDistillation([0, 2, 3]), []
    for _ in range(15):
        ours = student(wavs, lengths)
        loss = distillation(ours.hidden_states, theirs.hidden_states, ours.lengths)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(float(loss.total.detach()))
    assert losses[-1] < losses[0] - 0.1
