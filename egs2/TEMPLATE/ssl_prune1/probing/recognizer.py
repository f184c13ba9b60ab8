"""A linear recognizer of characters on frozen states, trained by CTC."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from espnet_prune.progress import progress

_EPOCHS = 10
_BATCH = 4
_RATE = 3e-3


def train_recognizer(
    states: Sequence[Tensor], texts: Sequence[str], symbols: Sequence[str], seed: int
) -> Callable[[Tensor], str]:
    """What gives the text of an utterance's states ``(T, D)``: the best symbol of each frame, once.

    Args:
        states: of U utterances, ``(T, D)`` each; standardised here, by their own statistics.
        texts: U, of ``symbols``.
        symbols: single characters.
        seed: of the map's start and the order of utterances.
    """
    count = sum(map(len, states))
    mean = sum(each.double().sum(0) for each in states) / count
    variance = sum((each.double() - mean).square().sum(0) for each in states) / count
    shift, scale = mean.float(), variance.clamp_min(1e-10).rsqrt().float()
    index = {symbol: number for number, symbol in enumerate(symbols, start=1)}
    targets = [torch.tensor([index[symbol] for symbol in text]) for text in texts]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Linear(len(shift), len(symbols) + 1)
        order = torch.cat([torch.randperm(len(states)) for _ in range(_EPOCHS)])
    batches = order.split(_BATCH)
    optimizer = torch.optim.Adam(head.parameters(), _RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(batches))
    for batch in progress(batches, "linear CTC"):
        frames = [(states[item].float() - shift) * scale for item in batch]
        logits = head(nn.utils.rnn.pad_sequence(frames)).log_softmax(-1)
        labels = [targets[item] for item in batch]
        loss = nn.functional.ctc_loss(
            logits,
            torch.cat(labels),
            torch.tensor([len(each) for each in frames]),
            torch.tensor([len(each) for each in labels]),
            zero_infinity=True,
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

    @torch.no_grad()
    def recognise(frames: Tensor) -> str:
        best = head((frames - shift) * scale).argmax(-1).unique_consecutive()
        return "".join(symbols[number - 1] for number in best.tolist() if number)

    return recognise
