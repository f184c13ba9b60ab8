"""Powerset classes map exactly, and loss and errors are those of the best permutation."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

from espnet_prune.diarization.powerset import Powerset


def random_batch(
    powerset: Powerset, seed: int, batch: int = 5, frames: int = 12
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(batch, frames, powerset.num_classes, generator=generator)
    labels = torch.rand(batch, frames, powerset.max_speakers, generator=generator) < 0.4
    lengths = torch.randint(1, frames + 1, (batch,), generator=generator)
    return scores.log_softmax(-1), labels.to(torch.uint8), lengths


def test_order_of_the_classes() -> None:
    members = [row.nonzero().flatten().tolist() for row in Powerset(4, 2).mapping]
    assert members == [
        [], [0], [1], [2], [3], [0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("speakers", "simultaneous", "classes"), [(4, 2, 11), (4, 3, 15), (4, 4, 16), (1, 1, 2)]
)
def test_every_class_maps_to_itself(speakers: int, simultaneous: int, classes: int) -> None:
    powerset = Powerset(speakers, simultaneous)
    assert powerset.num_classes == classes
    every = torch.arange(classes).unsqueeze(0)
    assert torch.equal(powerset.to_classes(powerset.to_multilabel(every)), every)


def test_too_many_speakers_get_the_first_best_subset() -> None:
    powerset = Powerset(4, 2)
    labels = torch.tensor([[[1, 1, 1, 0], [0, 1, 1, 1], [1, 1, 1, 1]]])
    assert powerset.to_classes(labels).tolist() == [[5, 8, 5]]
    first_best = (labels.float() @ powerset.mapping.T).argmax(-1)
    assert torch.equal(powerset.to_classes(labels), first_best)


def test_scores_are_decided_by_the_best_class() -> None:
    powerset = Powerset(4, 2)
    scores = torch.zeros(1, 2, 11)
    scores[0, 0, 9] = scores[0, 1, 0] = 1
    assert powerset.to_multilabel(scores).tolist() == [[[0, 1, 0, 1], [0, 0, 0, 0]]]


@pytest.mark.parametrize(("speakers", "simultaneous"), [(4, 2), (3, 3), (2, 1)])
def test_loss_is_that_of_the_best_permutation(speakers: int, simultaneous: int) -> None:
    powerset = Powerset(speakers, simultaneous)
    log_probs, labels, lengths = random_batch(powerset, seed=speakers)
    loss, order = powerset.permutation_free_loss(log_probs, labels, lengths)
    total = 0.0
    for item, length in enumerate(lengths.tolist()):
        costs = {}
        for candidate in permutations(range(speakers)):
            classes = powerset.to_classes(labels[item : item + 1, :, list(candidate)])[0]
            picked = log_probs[item].gather(1, classes.unsqueeze(1))[:length]
            costs[candidate] = -picked.sum().item()
        best = min(costs.values())
        assert costs[tuple(order[item].tolist())] == pytest.approx(best, abs=1e-5)
        total += best
    assert loss.item() == pytest.approx(total / lengths.sum().item(), abs=1e-5)


def test_loss_does_not_depend_on_the_order_of_the_speakers() -> None:
    powerset = Powerset(4, 2)
    log_probs, labels, lengths = random_batch(powerset, seed=0)
    # Only sets that have a class: of a larger one, the speakers kept depend on the order.
    labels[labels.sum(-1) > 2] = 0
    loss, _ = powerset.permutation_free_loss(log_probs, labels, lengths)
    shuffled, _ = powerset.permutation_free_loss(log_probs, labels[..., [2, 0, 3, 1]], lengths)
    assert torch.allclose(loss, shuffled)


def test_order_recovers_a_permutation() -> None:
    powerset = Powerset(4, 2)
    _, labels, lengths = random_batch(powerset, seed=1, frames=40)
    labels[labels.sum(-1) > 2] = 0
    wanted = torch.tensor([2, 0, 3, 1])
    classes = powerset.to_classes(labels[..., wanted])
    log_probs = (20.0 * torch.nn.functional.one_hot(classes, 11)).log_softmax(-1)
    full = torch.full_like(lengths, 40)
    loss, order = powerset.permutation_free_loss(log_probs, labels, full)
    assert loss.item() < 1e-6
    assert torch.equal(order, wanted.expand(5, 4))


def test_padding_changes_nothing_and_batch_equals_single() -> None:
    powerset = Powerset(4, 2)
    log_probs, labels, lengths = random_batch(powerset, seed=2)
    loss, order = powerset.permutation_free_loss(log_probs, labels, lengths)
    total = torch.tensor(0.0)
    for item, length in enumerate(lengths.tolist()):
        alone, alone_order = powerset.permutation_free_loss(
            log_probs[item : item + 1, :length], labels[item : item + 1, :length], lengths[[item]]
        )
        total += alone * length
        assert torch.equal(alone_order[0], order[item])
    assert torch.allclose(loss, total / lengths.sum())
    for item, length in enumerate(lengths.tolist()):
        log_probs[item, length:] = float("nan")
    assert torch.equal(powerset.permutation_free_loss(log_probs, labels, lengths)[0], loss)


def test_gradients_reach_valid_frames_only() -> None:
    powerset = Powerset(4, 2)
    log_probs, labels, lengths = random_batch(powerset, seed=3)
    scores = log_probs.clone().requires_grad_()
    powerset.permutation_free_loss(scores.log_softmax(-1), labels, lengths)[0].backward()
    reached = scores.grad.abs().sum(-1) > 0
    assert torch.equal(reached, torch.arange(12) < lengths.unsqueeze(1))


def test_label_types_agree() -> None:
    powerset = Powerset(4, 2)
    log_probs, labels, lengths = random_batch(powerset, seed=4)
    losses = [
        powerset.permutation_free_loss(log_probs, labels.to(dtype), lengths)[0]
        for dtype in (torch.uint8, torch.bool, torch.int64, torch.float32)
    ]
    assert all(torch.equal(loss, losses[0]) for loss in losses)


def test_misaligned_labels_are_refused() -> None:
    powerset = Powerset(4, 2)
    log_probs, labels, lengths = random_batch(powerset, seed=5)
    with pytest.raises(ValueError, match=r"expected labels of shape .*\(5, 11, 4\); align"):
        powerset.permutation_free_loss(log_probs, labels[:, :-1], lengths)


@pytest.mark.parametrize(("speakers", "simultaneous"), [(2, 3), (2, 0)])
def test_impossible_sizes_are_refused(speakers: int, simultaneous: int) -> None:
    with pytest.raises(ValueError, match="expected 1 <= max_simultaneous <= max_speakers"):
        Powerset(speakers, simultaneous)


def test_buffers_move_with_the_module_but_are_not_saved() -> None:
    powerset = Powerset(4, 2)
    assert powerset.state_dict() == {}
    assert not list(powerset.parameters())


def test_frame_errors_by_hand() -> None:
    powerset = Powerset(2, 2)
    # Best order: hypothesis speaker 0 is reference speaker 1.
    labels = torch.tensor([[[0, 1], [0, 1], [1, 1], [1, 0], [0, 0], [1, 1]]])
    predictions = torch.tensor([[[1, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 0]]])
    errors = powerset.frame_errors(predictions, labels, torch.tensor([5]))
    assert errors.speech == 5
    assert errors.miss == pytest.approx(1 / 5)
    assert errors.false_alarm == pytest.approx(1 / 5)
    assert errors.confusion == pytest.approx(1 / 5)
    assert errors.der == pytest.approx(3 / 5)


def test_frame_errors_agree_with_brute_force() -> None:
    powerset = Powerset(3, 2)
    log_probs, labels, lengths = random_batch(powerset, seed=6)
    predictions = powerset.to_multilabel(log_probs)
    errors = powerset.frame_errors(predictions, labels, lengths)
    total = 0
    for item, length in enumerate(lengths.tolist()):
        hypothesis = predictions[item, :length].int()
        counts = []
        for order in permutations(range(3)):
            reference = labels[item, :length, list(order)].int()
            larger = torch.maximum(hypothesis.sum(-1), reference.sum(-1))
            counts.append((larger - (hypothesis & reference).sum(-1)).sum().item())
        total += min(counts)
    assert errors.der * errors.speech == pytest.approx(total, abs=1e-4)


def test_frame_errors_are_exact_under_autocast() -> None:
    powerset = Powerset(2, 2)
    labels = torch.ones(1, 399, 2)
    with torch.autocast("cpu", torch.bfloat16):
        errors = powerset.frame_errors(labels, labels, torch.tensor([399]))
    assert errors.der == 0


def test_frame_errors_of_silence_average_exactly() -> None:
    powerset = Powerset(2, 2)
    predictions = torch.ones(1, 3, 2)
    errors = powerset.frame_errors(predictions, torch.zeros(1, 3, 2), torch.tensor([3]))
    assert errors.speech == 1
    assert errors.false_alarm * errors.speech == 6
