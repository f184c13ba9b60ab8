"""A table of latencies that nobody measured, of any encoder."""

from __future__ import annotations

from espnet_prune.pruning.budgets.latency import Block, LatencyTable, shape_of, this_machine

SECONDS = 0.05
STAIRS = [0, 1, *(w for edge in range(16, 60, 16) for w in (edge, edge + 1)), 60]


def line(slope, largest, start=0.0):
    return Block((0.0, float(largest)), ((start, start + slope * largest),))


def table_of(config, **changes):
    """A table in which FFN units come in blocks of 16, each of which takes as long when full."""
    square = Block((0.0, 64.0), ((0.0, 1.0), (1.0, 3.0)), (0.0, 64.0))
    stairs = tuple(0.1 * -(-width // 16) for width in STAIRS)
    values = dict(
        zip(("machine", "processor"), this_machine("cpu"), strict=True),
        device="cpu", threads=1, precision="float32", seconds=SECONDS, versions={"torch": "2"},
        shape=shape_of(config), conv=(line(0.01, 64), *[square] * (len(config.conv_layers) - 1)),
        projection=line(0.005, 64), attention=line(0.1, 4), ffn=Block(tuple(STAIRS), (stairs,)),
        rest=0.2,
    )  # fmt: skip
    return LatencyTable(**{**values, **changes})
