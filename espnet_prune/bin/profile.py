"""Show where an encoder's parameters and multiply-accumulates (MACs) are, by part and by layer."""

import json
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import positive
from espnet_prune.encoder import PRESETS, SSLConfig, SSLEncoder
from espnet_prune.formats import SOURCES, import_encoder
from espnet_prune.inference import PRECISIONS, usable_device
from espnet_prune.inference.latency import measure_ms, measure_table
from espnet_prune.pruning import count_macs, count_params
from espnet_prune.pruning.cost import Cost, built_widths
from espnet_prune.report.table import Table
from espnet_prune.storage.files import atomic_write, require_writable

Costs = dict[str, int]
"""``params`` and ``macs`` of the whole or of a part."""


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description=__doc__,
        epilog=f"MODEL is the name of a preset ({', '.join(PRESETS)}), or one of\n{SOURCES}",
        formatter_class=RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="a shape or an encoder, see below")
    add("--seconds", type=float, default=1.0, help="length of the one input (default: 1)")
    add(
        "--latency-table",
        type=Path,
        metavar="FILE",
        help="measure on this machine how long each block takes over its widths, in minutes, for "
        "budget: latency; FILE is JSON",
    )
    add("--precision", choices=PRECISIONS, default="float32", help="of the table (float32)")
    add("--threads", type=positive, default=1, help="of the table, on a CPU (default: 1)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="of the table (default: cpu)")
    add("--json", action="store_true", help="print JSON, without units, instead of tables")
    return parser


@explained("profile")
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    preset = PRESETS.get(args.model)
    config = preset() if preset else import_encoder(args.model).config
    if args.latency_table:
        _measure(config, args)
    profile = {"model": args.model, **profile_encoder(config, args.seconds)}
    print(json.dumps(profile, indent=1) if args.json else _render(profile))


def _measure(config: SSLConfig, args: Namespace) -> None:
    """Write the table, and say how it and the whole encoder compare."""
    usable_device(args.device)
    require_writable(args.latency_table)
    table = measure_table(config, args.seconds, args.precision, args.threads, args.device)
    atomic_write(args.latency_table, table.json())
    told = table.cost(config, built_widths(config)).total
    quiet, whole = measure_ms(SSLEncoder(config), table)
    print(
        f"{args.latency_table}: {told:.4g} ms by the table, {quiet:.4g} ms measured "
        f"({whole:.4g} ms with what else the machine did), on "
        f"{table.machine} ({table.processor}, {table.device}, {table.threads} threads, "
        f"{table.precision})",
        file=sys.stderr,
    )


def profile_encoder(config: SSLConfig, seconds: float) -> dict[str, Any]:
    """Parameters and MACs of one input of ``seconds``: in all, by part and by layer.

    The parts sum to the whole; so do the layers and ``rest``, which is what lies outside of them;
    the convolutions sum to their part.

    Raises:
        ConfigError: the input is shorter than one frame.
    """

    def costs(part: str, config: SSLConfig = config, **changes: Any) -> Costs:
        widths = built_widths(config)._replace(**changes)
        params, macs = count_params(config, widths), count_macs(config, seconds, widths)
        return {"params": getattr(params, part), "macs": getattr(macs, part)}

    rest = costs("total", layers=())
    layers, convs = [], []
    for layer, width in zip(config.layers, built_widths(config).layers, strict=True):
        own = _difference(costs("total", layers=(width,)), rest)
        layers.append({"heads": len(layer.heads), "ffn": layer.ffn, **own})
    before = {"params": 0, "macs": 0}
    for index, conv in enumerate(config.conv_layers):
        cut = replace(config, conv_layers=config.conv_layers[: index + 1])
        convs.append({"channels": conv.channels, **_difference(costs("conv", cut), before)})
        before = costs("conv", cut)
    return {
        "seconds": seconds,
        "num_heads": config.num_heads,
        **costs("total"),
        "parts": {field.name: costs(field.name) for field in fields(Cost)},
        "layers": layers,
        "rest": rest,
        "conv_layers": convs,
    }


def _difference(costs: Costs, less: Costs) -> Costs:
    return {unit: count - less[unit] for unit, count in costs.items()}


def _render(profile: dict[str, Any]) -> str:
    def row(*labels: object, of: Costs) -> list[str]:
        cells = list(map(str, labels))
        for unit, scale in (("params", 1e6), ("macs", 1e9)):
            cells += [f"{of[unit] / scale:.3f}", f"{100 * of[unit] / profile[unit]:.1f}"]
        return cells

    def largest(unit: str) -> str:
        part, costs = max(parts.items(), key=lambda item: item[1][unit])
        return f"{part} with {100 * costs[unit] / profile[unit]:.1f} %"

    parts, units = profile["parts"], ("parameters (M)", "%", "MACs (G)", "%")
    heads = f"heads of {profile['num_heads']}"
    tables = [
        Table(("part", *units), [
            *(row(part, of=costs) for part, costs in parts.items()),
            row("total", of=profile),
        ]),
        Table(("layer", heads, "FFN units", *units), [
            *(row(i, x["heads"], x["ffn"], of=x) for i, x in enumerate(profile["layers"])),
            row("rest", "", "", of=profile["rest"]),
        ]),
        Table(("convolution", "channels", *units), [
            row(i, x["channels"], of=x) for i, x in enumerate(profile["conv_layers"])
        ]),
    ]  # fmt: skip
    return "\n".join([
        f"{profile['model']}: {profile['params'] / 1e6:.2f} M parameters, "
        f"{profile['macs'] / 1e9:.3f} G MACs for {profile['seconds']:g} s",
        f"Largest part of the parameters: {largest('params')}; of the MACs: {largest('macs')}",
        *(f"\n{table.text()}" for table in tables),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
