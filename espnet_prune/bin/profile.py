"""Show where an encoder's parameters and multiply-accumulates (MACs) are, by part and by layer."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from espnet_prune.bin.errors import explained
from espnet_prune.encoder import PRESETS, SSLConfig
from espnet_prune.formats import SOURCES, import_encoder
from espnet_prune.pruning import count_macs, count_params
from espnet_prune.pruning.cost import Cost, Widths, built_widths
from espnet_prune.report.table import Table

Costs = dict[str, int]
"""``params`` and ``macs`` of the whole or of a part."""


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"MODEL is the name of a preset ({', '.join(PRESETS)}), or one of\n{SOURCES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a shape or an encoder, see below")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="length of the one input (default: 1)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON, without units, instead of tables"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("profile"):
        preset = PRESETS.get(args.model)
        config = preset() if preset else import_encoder(args.model).config
        profile = {"model": args.model, **profile_encoder(config, args.seconds)}
        print(json.dumps(profile, indent=1) if args.json else _render(profile))


def profile_encoder(config: SSLConfig, seconds: float) -> dict[str, Any]:
    """Parameters and MACs of one input of ``seconds``: in all, by part and by layer.

    The parts sum to the whole; so do the layers and ``rest``, which is what lies outside of them;
    the convolutions sum to their part.

    Raises:
        ConfigError: the input is shorter than one frame.
    """
    widths = built_widths(config)
    parts = _costs(config, seconds, widths)
    rest = _costs(config, seconds, widths._replace(layers=()))["total"]
    layers, convs = [], []
    for layer, width in zip(config.layers, widths.layers, strict=True):
        costs = _costs(config, seconds, widths._replace(layers=(width,)))["total"]
        layers.append({"heads": len(layer.heads), "ffn": layer.ffn, **_difference(costs, rest)})
    before = {"params": 0, "macs": 0}
    for index, conv in enumerate(config.conv_layers):
        cut = replace(config, conv_layers=config.conv_layers[: index + 1])
        costs = _costs(cut, seconds, built_widths(cut))["conv"]
        convs.append({"channels": conv.channels, **_difference(costs, before)})
        before = costs
    return {
        "seconds": seconds,
        "num_heads": config.num_heads,
        **parts.pop("total"),
        "parts": parts,
        "layers": layers,
        "rest": rest,
        "conv_layers": convs,
    }


def _costs(config: SSLConfig, seconds: float, widths: Widths) -> dict[str, Costs]:
    params, macs = count_params(config, widths), count_macs(config, seconds, widths)
    return {
        part: {"params": getattr(params, part), "macs": getattr(macs, part)}
        for part in (*(field.name for field in fields(Cost)), "total")
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
