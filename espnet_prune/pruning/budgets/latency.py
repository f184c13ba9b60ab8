"""Milliseconds of one input, from a table of what each building block took on a machine."""

from __future__ import annotations

import json
import platform
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from espnet_prune.encoder import SSLConfig
from espnet_prune.encoder.families.base import Number
from espnet_prune.encoder.typed import ConfigError, read_typed
from espnet_prune.pruning.budgets.held import Held
from espnet_prune.pruning.cost import Cost, Widths, built_widths


@dataclass(frozen=True)
class Block:
    """Milliseconds of one kind of block at some ``widths``; between them they are linear.

    ``inputs`` are the widths of what comes in, where these vary too; ``ms`` has a row for each.
    """

    widths: tuple[float, ...]
    ms: tuple[tuple[float, ...], ...]
    inputs: tuple[float, ...] = (0.0,)

    def at(self, width: Number, inputs: Number = 0) -> Number:
        """Milliseconds ``()`` at a ``width`` and ``inputs``, differentiable in both.

        The gradient is the slope over a step of the table to either side: where a processor
        computes in blocks of units, there is none between their edges.
        """
        at = tuple(float(x.detach()) if isinstance(x, Tensor) else x for x in (width, inputs))
        found: Number = self._ms(*at)
        if not isinstance(width, Tensor) and not isinstance(inputs, Tensor):
            return found
        for axis, (x, known) in enumerate(((width, self.widths), (inputs, self.inputs))):
            if isinstance(x, Tensor) and len(known) > 1:
                step = max(b - a for a, b in pairwise(known))
                ends = max(known[0], at[axis] - step), min(known[-1], at[axis] + step)
                low, high = (self._ms(*(*at[:axis], end, *at[axis + 1 :])) for end in ends)
                found = found + (high - low) / (ends[1] - ends[0]) * (x - x.detach())
        return found

    def _ms(self, width: float, inputs: float) -> float:
        return _between(self.inputs, [_between(self.widths, row, width) for row in self.ms], inputs)


def _between(known: Sequence[float], values: Sequence[float], at: float) -> float:
    """What lies ``at`` a place between ``known`` ones on the line between their ``values``."""
    if len(known) == 1:
        return values[0]
    right = min(max(1, bisect_left(known, at)), len(known) - 1)
    share = (at - known[right - 1]) / (known[right] - known[right - 1])
    return values[right - 1] * (1 - share) + values[right] * share


@dataclass(frozen=True)
class LatencyTable:
    """What the blocks of encoders of one ``shape`` took on a machine; :meth:`read` from JSON.

    Attributes:
        machine: its name; ``processor``: of the CPU or the GPU.
        device: ``cpu`` or ``cuda``; ``threads`` of a CPU, ``precision`` of the inference form.
        seconds: length of the one input.
        versions: of torch and Python.
        conv: a block per convolution, over the channels of its input and its output.
        rest: milliseconds of what does not depend on widths.
    """

    machine: str
    processor: str
    device: str
    threads: int
    precision: str
    seconds: float
    versions: dict[str, str]
    shape: dict[str, Any]
    conv: tuple[Block, ...]
    projection: Block
    attention: Block
    ffn: Block
    rest: float

    @classmethod
    def read(cls, path: str | Path) -> LatencyTable:
        """Read a table that ``profile --latency-table`` wrote, or raise ConfigError."""
        try:
            return read_typed(cls, json.loads(Path(path).read_text(encoding="utf-8")), path)
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ConfigError(
                f"{path}: expected a table of espnet-prune profile --latency-table, found none "
                f"({str(error).splitlines()[0]})"
            ) from error

    def json(self) -> str:
        """The text of its file."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @property
    def is_ours(self) -> bool:
        """Whether it is of this machine."""
        return (self.machine, self.processor) == this_machine(self.device)

    def cost(self, config: SSLConfig, widths: Widths) -> Cost:
        """Milliseconds by part of an encoder of ``config`` at ``widths``."""
        found = shape_of(config)
        # The first layers of an encoder are blocks of the same table.
        layers = self.shape.get("layers", 0)
        if {**found, "layers": layers} != self.shape or found["layers"] > layers:
            raise ConfigError(f"expected an encoder as in the table, {self.shape}, found {found}")
        inputs = (0, *widths.conv[:-1])
        return Cost(
            conv=sum(b.at(w, i) for b, w, i in zip(self.conv, widths.conv, inputs, strict=True)),
            projection=self.projection.at(widths.conv[-1]),
            pos_conv=0.0,
            attention=sum(self.attention.at(layer.heads) for layer in widths.layers),
            ffn=sum(self.ffn.at(layer.ffn) for layer in widths.layers),
            norm=self.rest,
        )


def shape_of(config: SSLConfig) -> dict[str, Any]:
    """What encoders have in common that one table is for."""
    names = ("family", "embed_dim", "head_dim", "num_heads", "padded_to")
    shape = {name: getattr(config, name) for name in names} | {"layers": len(config.layers)}
    return shape | {"convolutions": [[c.kernel, c.stride] for c in config.conv_layers]}


def this_machine(device: str) -> tuple[str, str]:
    """Name and processor of this machine; the processor is the GPU where that is the ``device``."""
    if device == "cuda":
        found = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
        return platform.node(), found
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    except OSError:  # not Linux
        models = []
    return platform.node(), models[0] if models else platform.processor()


@dataclass(frozen=True)
class Latency(Held):
    """Milliseconds of the inference form for one input, as a ``table`` of its blocks tells.

    A table of another machine is refused unless ``other_machine`` is set. The sum over blocks of
    a table, linear in between, is that of HAT (Wang et al., 2020, section 2.2) without its network.
    """

    table: str
    other_machine: bool = False

    measure: ClassVar = "latency"
    unit: ClassVar = "ms"

    @property
    def measured(self) -> LatencyTable:
        """The table."""
        return _read(self.table, self.other_machine)

    def count(self, config: SSLConfig, seconds: float, widths: Widths | None = None) -> Cost:
        table = self.measured
        if table.seconds != seconds:
            raise ConfigError(
                f"expected reference_seconds {table.seconds:g}, the input of {self.table}, found "
                f"{seconds:g}"
            )
        return table.cost(config, widths or built_widths(config))


@cache
def _read(path: str, other_machine: bool) -> LatencyTable:
    table = LatencyTable.read(path)
    if not (table.is_ours or other_machine):
        ours = ", ".join(this_machine(table.device))
        raise ConfigError(
            f"{path}: expected a table of this machine ({ours}), found one of {table.machine} "
            f"({table.processor}); measure one here, or set other_machine: true"
        )
    return table
