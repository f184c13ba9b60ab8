"""A training whose numbers are no numbers any more stops, and says where that began."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from espnet2.train.reporter import SubReporter
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from espnet_prune.espnet.compat import replaced

_ADVICE = "the last checkpoint stays; lower the learning rates, in another output_dir"
# Far above any loss of a task.
_DIVERGED = 1e6

_Batch = tuple[Sequence[str], Mapping[str, Tensor]]


class NotFinite(ValueError):
    """NaN or infinity where a training cannot do with it."""


def finite_batches(batches: Iterable[_Batch]) -> Iterator[_Batch]:
    """ESPnet's batches, names and tensors by name; NaN or infinity raises :class:`NotFinite`."""
    try:
        for names, batch in batches:
            for key, values in batch.items():
                # A sum is cheap, and finite only if all of its terms are.
                if values.is_floating_point() and not math.isfinite(values.sum()):
                    _require_finite_rows(names, key, values)
            yield names, batch
    except KeyError as error:  # ESPnet looks up what the shape file lists
        key = str(error).rpartition("KeyError: ")[2].strip()  # a loader's worker says more
        raise ValueError(
            f"expected utterance {key} of the shape file in every table of data, found none in "
            "one of them; make shape files and tables of the same set"
        ) from error


def watch_loss(reporter: SubReporter, model: nn.Module) -> None:
    """Make ``reporter`` raise :class:`NotFinite` at the first loss that is not finite."""
    register = reporter.register

    def watched(stats: dict[str, Any], weight: Any = None) -> None:
        loss = stats.get("loss")
        # The reporter reads all statistics: nothing is left to wait for.
        if loss is not None and not math.isfinite(loss):
            raise _stopped(reporter, f"a finite loss, found {float(loss)}", model)
        register(stats, weight)

    reporter.register = watched


@contextlib.contextmanager
def watched_gradients(reporter: SubReporter, model: nn.Module, scaler: Any) -> Iterator[None]:
    """Make ESPnet's clipping raise :class:`NotFinite` at a norm that is not finite.

    ESPnet skips such a step. That is right only while a ``scaler`` looks for its scale, which it
    halves at every such step.
    """

    def watched(parameters: Iterable[Tensor], max_norm: float, norm_type: float = 2.0) -> Tensor:
        parameters = list(parameters)
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None], norm_type)
        if not math.isfinite(norm) and not (scaler and scaler.get_scale() > 1):
            raise _stopped(reporter, f"a finite gradient norm, found {float(norm)}", model)
        clip_grads_with_norm_(parameters, max_norm, norm)
        return norm

    with replaced(torch.nn.utils, clip_grad_norm_=watched):
        yield


def require_finite_state(
    where: str, model: nn.Module, optimizers: Collection[torch.optim.Optimizer] = ()
) -> None:
    """Raise :class:`NotFinite` if a weight, a gate or what an optimizer remembers is not finite."""
    bad = _first_bad(model.state_dict().items(), "weight")
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for optimizer in optimizers:
        for parameter, state in optimizer.state.items():
            name = names.get(id(parameter), "?")
            bad = bad or _first_bad(((f"{k} of {name}", v) for k, v in state.items()), "state")
    if bad:
        raise NotFinite(f"{where}: expected finite weights, found {bad}; {_ADVICE}")


def divergence(losses: Sequence[float], pruned: bool) -> str | None:
    """What is to be said of the validation ``losses`` of all epochs; None if all is well.

    While a budget rises, a loss rises as well, if ``pruned``.
    """
    first, last = losses[0], losses[-1]
    margin = 10 * max(1.0, abs(first)) if pruned else 0.0
    if last - first <= margin and last < _DIVERGED:
        return None
    return (
        f"the training did not converge: the last epoch's validation loss is {last:.4g}, the "
        f"first's was {first:.4g}; lower the learning rates"
    )


def _require_finite_rows(names: Sequence[str], key: str, values: Tensor) -> None:
    finite = values.isfinite().flatten(1).all(1).tolist()
    if bad := [name for name, fine in zip(names, finite, strict=True) if not fine]:
        raise NotFinite(
            f"expected {key} of finite numbers, found NaN or infinity in {', '.join(bad[:5])}; "
            "repair these recordings or leave them out"
        )


def _stopped(reporter: SubReporter, message: str, model: nn.Module) -> NotFinite:
    step = f"epoch {reporter.epoch}, step {reporter.count} of {reporter.key}"
    gradients = ((name, p.grad) for name, p in model.named_parameters() if p.grad is not None)
    bad = _first_bad(model.state_dict().items(), "weight") or _first_bad(gradients, "gradient")
    if not bad:
        size, name = max((float(p.detach().abs().max()), n) for n, p in model.named_parameters()
                         if p.numel())  # fmt: skip
        bad = f"finite weights of up to {size:.3g} ({name})"
    return NotFinite(f"{step}: expected {message}; first bad tensor: {bad}; {_ADVICE}")


def _first_bad(tensors: Iterable[tuple[str, Any]], kind: str) -> str | None:
    for name, tensor in tensors:
        if isinstance(tensor, Tensor) and not bool(tensor.isfinite().all()):
            return f"NaN or infinity in {kind} {name}"
    return None
