"""Powerset classes of simultaneous speakers, and their permutation-free loss and errors.

Plaquet and Bredin, "Powerset multi-class cross entropy loss for neural speaker diarization",
Interspeech 2023.
"""

from __future__ import annotations

from itertools import chain, combinations, permutations
from typing import NamedTuple

import torch
from torch import Tensor, nn

from espnet_prune.encoder.norm import length_mask


class FrameErrors(NamedTuple):
    """Parts of the frame-level diarization error rate of a batch, each a scalar tensor.

    Missed speech, false alarm and speech of the wrong speaker are fractions of ``speech``, the
    number of active speaker-frames of the reference, at least 1: averages over batches that weight
    by it are exact, silent batches included.
    """

    miss: Tensor
    false_alarm: Tensor
    confusion: Tensor
    speech: Tensor

    @property
    def der(self) -> Tensor:
        """Diarization error rate: the sum of the three."""
        return self.miss + self.false_alarm + self.confusion


class Powerset(nn.Module):
    """Classes of the sets of at most ``max_simultaneous`` of ``max_speakers`` speakers.

    Class 0 is silence, then come the single speakers, then the pairs in lexicographic order, and
    so on: 11 classes for 4 speakers of whom 2 are simultaneous.

    Attributes:
        mapping: (K, S) ones where a speaker belongs to a class.
        permutations: (S!, S) all orders of the speakers.

    Raises:
        ValueError: unless 1 <= max_simultaneous <= max_speakers.
    """

    mapping: Tensor
    permutations: Tensor
    _class_of_code: Tensor
    _bits: Tensor

    def __init__(self, max_speakers: int = 4, max_simultaneous: int = 2) -> None:
        super().__init__()
        if not 1 <= max_simultaneous <= max_speakers:
            raise ValueError(
                f"expected 1 <= max_simultaneous <= max_speakers, found max_simultaneous "
                f"{max_simultaneous} and max_speakers {max_speakers}; correct the configuration"
            )
        self.max_speakers = max_speakers
        self.max_simultaneous = max_simultaneous
        sets = (combinations(range(max_speakers), size) for size in range(max_simultaneous + 1))
        classes = list(chain.from_iterable(sets))
        self.num_classes = len(classes)
        mapping = torch.zeros(len(classes), max_speakers)
        for index, members in enumerate(classes):
            mapping[index, list(members)] = 1.0
        orders = list(permutations(range(max_speakers)))
        # A set of speakers is coded by its bits; the class of each code under each order of the
        # speakers is a table, so that no order needs labels of its own.
        class_of_code = [
            [classes.index(_largest_class(code, order, max_simultaneous)) for order in orders]
            for code in range(2**max_speakers)
        ]
        self.register_buffer("mapping", mapping, persistent=False)
        self.register_buffer("permutations", torch.tensor(orders), persistent=False)
        self.register_buffer("_class_of_code", torch.tensor(class_of_code).T, persistent=False)
        self.register_buffer("_bits", 2 ** torch.arange(max_speakers), persistent=False)

    def to_multilabel(self, classes: Tensor) -> Tensor:
        """Who is active, (B, L, S) zeros and ones (float).

        Of (B, L, K) scores, of which the best class counts, or of (B, L) class indices.
        """
        if classes.is_floating_point():
            classes = classes.argmax(dim=-1)
        return self.mapping[classes]

    def to_classes(self, multilabel: Tensor) -> Tensor:
        """The class (B, L) of each set of speakers, active where (B, L, S) is not zero.

        A set of more than ``max_simultaneous`` speakers gets the class of its first ones.
        """
        return self._class_of_code[0][self._codes(multilabel)]

    def permutation_free_loss(
        self, log_probs: Tensor, labels: Tensor, lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The negative log-likelihood under each item's best order of the speakers.

        Of (B, L, K) log-probabilities of the classes, (B, L, S) labels, active where not zero, and
        the number (B,) of valid frames.

        Returns:
            Mean over the valid frames of the batch (nats, a scalar), and the best order (B, S):
            ``labels[b, :, order[b]]`` are the labels that item ``b`` was scored against.

        Raises:
            ValueError: for shapes that do not belong together.
        """
        batch, frames, _ = log_probs.shape
        expected = (batch, frames, self.max_speakers)
        if labels.shape != expected:
            raise ValueError(
                f"expected labels of shape {expected} for log-probabilities of shape "
                f"{tuple(log_probs.shape)}, found {tuple(labels.shape)}; align them"
            )
        classes = self._class_of_code[:, self._codes(labels)]
        scores = log_probs.expand(len(classes), -1, -1, -1)
        nll = -scores.gather(-1, classes.unsqueeze(-1)).squeeze(-1)
        nll = nll.masked_fill(~length_mask(lengths, frames), 0.0).sum(dim=-1)
        best, order = nll.min(dim=0)
        return best.sum() / lengths.sum(), self.permutations[order]

    def frame_errors(self, predictions: Tensor, labels: Tensor, lengths: Tensor) -> FrameErrors:
        """Count the errors of hard decisions under each item's best order of the speakers.

        Predictions and labels (B, L, S) are active where not zero; (B,) frames are valid.
        """
        valid = length_mask(lengths, labels.shape[1]).unsqueeze(-1)
        hypothesis = ((predictions != 0) & valid).float()
        reference = ((labels != 0) & valid).float()
        # Not a matrix product: autocast would round its counts.
        agreement = (hypothesis.unsqueeze(-1) * reference.unsqueeze(-2)).sum(dim=1)
        slots = torch.arange(self.max_speakers, device=agreement.device)
        correct = agreement[:, slots, self.permutations].sum(dim=-1).max(dim=-1).values.sum()
        num_hypothesis, num_reference = hypothesis.sum(dim=-1), reference.sum(dim=-1)
        paired = torch.minimum(num_hypothesis, num_reference).sum()
        speech = num_reference.sum().clamp(min=1)
        return FrameErrors(
            miss=(num_reference.sum() - paired) / speech,
            false_alarm=(num_hypothesis.sum() - paired) / speech,
            confusion=(paired - correct) / speech,
            speech=speech,
        )

    def _codes(self, multilabel: Tensor) -> Tensor:
        return ((multilabel != 0) * self._bits).sum(dim=-1)


def _largest_class(code: int, order: tuple[int, ...], max_simultaneous: int) -> tuple[int, ...]:
    """The first members, after reordering, of the set of speakers coded by bits."""
    members = (slot for slot, speaker in enumerate(order) if code >> speaker & 1)
    return tuple(members)[:max_simultaneous]
