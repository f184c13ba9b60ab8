"""Measure how long an encoder takes, block by block, and whether one that was cut is on time."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from statistics import mean, median
from typing import Any, NamedTuple, cast

import torch
from torch import nn

from espnet_prune.encoder import SSLConfig, SSLEncoder
from espnet_prune.encoder.config import TransformerLayerConfig
from espnet_prune.inference.form import PRECISIONS, inference_form
from espnet_prune.inference.timing import in_turns
from espnet_prune.pruning import BudgetMissed
from espnet_prune.pruning.budgets import Limit
from espnet_prune.pruning.budgets.latency import (
    Block,
    Latency,
    LatencyTable,
    shape_of,
    this_machine,
)

# Of the channels of stacked convolutions every pair is measured; of other widths so many steps, and
# one unit beyond each, where a processor that computes in blocks begins another.
_CHANNELS, _STEPS = 5, 12
_TOLERANCE, _ATTEMPTS = 0.05, 3

Times = dict[tuple[str, int], float]
"""Seconds of each block of an encoder, by kind and index."""


def measure_table(
    config: SSLConfig, seconds: float, precision: str, threads: int, device: str, rounds: int = 20
) -> LatencyTable:
    """Measure encoders of random weights, of many widths, in turns; each block inside its encoder.

    Args:
        config: of the encoder that is to be pruned.
        seconds: length of the one input.
        precision: of :data:`.PRECISIONS`.
        threads: of a CPU.
        device: ``cpu`` or ``cuda``.
        rounds: how often; the least time of a block counts.
    """
    shapes = list(_shapes(config))
    with _threads(threads):
        forms = [_form(SSLEncoder(shape), precision, device) for shape in shapes]
        watched = [_Watch(form, device) for form in forms]
        wav = torch.randn(1, round(seconds * 16000), device=device)
        calls = [partial(watch, wav) for watch in watched]
        in_turns(calls, torch.device(device), rounds)
    times = [watch.least for watch in watched]
    convs, heads, ffns = len(config.conv_layers), _Samples(), _Samples()
    conv, projection, rest = [_Samples() for _ in range(convs)], _Samples(), []
    for shape, least in zip(shapes, times, strict=True):
        channels = [layer.channels for layer in shape.conv_layers]
        for index, inputs in enumerate((0, *channels[:-1])):
            conv[index].add(channels[index], inputs, least["conv", index])
        projection.add(channels[-1], 0, least["projection", 0])
        for kind, samples in (("attention", heads), ("feed_forward", ffns)):
            layer = shape.layers[0]
            width = len(layer.heads) if kind == "attention" else layer.ffn
            samples.add(width, 0, mean(v for (name, _), v in least.items() if name == kind))
        rest.append(1000 * least["rest", 0])
    machine, processor = this_machine(device)
    return LatencyTable(
        machine, processor, device, threads, precision, seconds,
        {"torch": str(torch.__version__), "python": platform.python_version()},
        shape_of(config), tuple(each.block() for each in conv), projection.block(),
        heads.block(), ffns.block(), median(rest),
    )  # fmt: skip


class Conditions(NamedTuple):
    """What milliseconds are measured under: of one input of ``seconds``."""

    threads: int = 1
    precision: str = "float32"
    device: str = "cpu"
    seconds: float = 8.0


def measure_ms(
    encoder: SSLEncoder, under: Conditions | LatencyTable, rounds: int = 40
) -> tuple[float, float]:
    """Milliseconds of ``encoder`` under some conditions: undisturbed, and as a whole.

    The first is the sum over its blocks of the least time of each, as a table has it: what else
    a machine does interrupts some rounds of a block, and any round of the whole.
    """
    with _threads(under.threads):
        watch = _Watch(_form(encoder, under.precision, under.device), under.device)
        wav = torch.randn(1, round(under.seconds * 16000), device=under.device)
        (found,) = in_turns([partial(watch, wav)], torch.device(under.device), rounds)
    return 1000 * sum(watch.least.values()), 1000 * min(found)


def require_on_time(limits: Mapping[str, Limit], encoder: SSLEncoder) -> list[str]:
    """What to say of the time of a cut ``encoder`` that latency ``limits`` hold; [] without any.

    Raises:
        BudgetMissed: it is more than 5 % away from its target, in three attempts.
    """
    told = []
    for limit in limits.values():
        if not isinstance(held := limit.held, Latency):
            continue
        table = held.measured
        target = (1 - limit.target) * limit.dense
        if not table.is_ours:
            told.append(f"not measured: {held.table} is of another machine, {table.machine}")
            continue
        least = float("inf")
        for _ in range(_ATTEMPTS):
            quiet, whole = measure_ms(encoder, table)
            least = min(least, quiet)
            excess = least / target - 1
            if excess <= _TOLERANCE:
                break
        predicted = held.count(encoder.config, table.seconds).total
        if not (-float("inf") if limit.at_most else -_TOLERANCE) <= excess <= _TOLERANCE:
            raise BudgetMissed(
                f"expected {target:.4g} ms within {_TOLERANCE:.0%}, found {least:.4g} ms measured "
                f"and {predicted:.4g} ms by {held.table}: the machine is busy or was when the "
                "table was measured; measure the table again while it is idle"
            )
        told.append(
            f"{least:.4g} ms measured ({whole:.4g} ms with what else the machine did), "
            f"{predicted:.4g} ms by the table, of {target:.4g} ms"
        )
    return told


def _shapes(config: SSLConfig) -> Iterator[SSLConfig]:
    """Encoders whose widths cover those up to the ones of ``config``."""
    channels = max(layer.channels for layer in config.conv_layers)
    heads = max(len(layer.heads) for layer in config.layers)
    ffns = _grid(max(layer.ffn for layer in config.layers))
    if len(config.conv_layers) == 1:
        pairs = [(width, width) for width in _grid(channels) if width]
    else:
        few = sorted({max(1, channels * step // _CHANNELS) for step in range(_CHANNELS + 1)})
        pairs = [(even, odd) for even in few for odd in few]
    for index in range(max(len(pairs), len(ffns), heads + 1)):
        pair = pairs[index % len(pairs)]
        layer = TransformerLayerConfig(tuple(range(index % (heads + 1))), ffns[index % len(ffns)])
        yield replace(
            config,
            conv_layers=tuple(
                replace(conv, channels=pair[i % 2], kept=None)
                for i, conv in enumerate(config.conv_layers)
            ),
            layers=(layer,) * len(config.layers),
        )


def _grid(largest: int) -> list[int]:
    steps = [largest * step // _STEPS for step in range(_STEPS + 1)]
    return sorted({w for step in steps for w in (step, step + 1) if w <= largest})


class _Samples:
    """Seconds of one kind of block by its widths."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], list[float]] = {}

    def add(self, width: int, inputs: int, seconds: float) -> None:
        self.found.setdefault((inputs, width), []).append(1000 * seconds)

    def block(self) -> Block:
        inputs, widths = (tuple(sorted(set(each))) for each in zip(*self.found, strict=True))
        rows = tuple(tuple(median(self.found[i, w]) for w in widths) for i in inputs)
        return Block(widths, rows, inputs)


class _Watch:
    """An inference form that notes the least time of each of its blocks."""

    def __init__(self, form: SSLEncoder, device: str):
        self.form, self.device, self.least = form, device, cast(Times, {})
        blocks: dict[tuple[str, int], nn.Module] = {("front_end", 0): form.front_end}
        front: Any = form.front_end
        blocks["projection", 0] = front.projection
        blocks |= {("conv", i): m for i, m in enumerate(getattr(front, "others", ()), start=1)}
        for index, layer in enumerate(form.layers):
            for kind in ("attention", "feed_forward"):
                blocks[kind, index] = getattr(layer, kind)
        self.once: Times = {}
        for key, module in blocks.items():
            module.register_forward_pre_hook(partial(self._start, key))
            module.register_forward_hook(partial(self._stop, key))
        self.pending: dict[tuple[str, int], float] = {}

    def __call__(self, wav: torch.Tensor) -> None:
        self.once, start = {}, self._now()
        self.form(wav)
        whole = self._now() - start
        # What the front end does besides is its first convolution, whose module may not be called.
        inner = [v for (kind, _), v in self.once.items() if kind in ("conv", "projection")]
        self.once["conv", 0] = self.once.pop(("front_end", 0)) - sum(inner)
        self.once["rest", 0] = whole - sum(self.once.values())
        for key, seconds in self.once.items():
            self.least[key] = min(seconds, self.least.get(key, seconds))

    def _now(self) -> float:
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def _start(self, key: tuple[str, int], *_: Any) -> None:
        self.pending[key] = self._now()

    def _stop(self, key: tuple[str, int], *_: Any) -> None:
        self.once[key] = self.once.get(key, 0.0) + self._now() - self.pending.pop(key)


def _form(encoder: SSLEncoder, precision: str, device: str) -> SSLEncoder:
    return inference_form(encoder.to(device).eval(), PRECISIONS[precision])


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
