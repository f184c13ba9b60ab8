"""Tell how well speaker embeddings tell voices apart: equal error rates over pairs of crops.

Where the data directory has spk2gender and spk2age (years), pairs within groups of one sex and age,
under 18 or not, are scored as well.
Example: python -m benchmarks.score_embedding exp/pruned data/test --embedding head campplus
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.verification import (
    Crop,
    choose_crops,
    compare_pairs,
    embed_crops,
    equal_error_rate,
    rate_interval,
)
from espnet_prune.bin.embed_utterances import embedder_parser, load_embedders
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, positive, seed
from espnet_prune.diarization.embedding.utterances import UtteranceEmbedder
from espnet_prune.report.table import Table, percent


def get_parser() -> ArgumentParser:
    """Make the parser of the command line."""
    parser = embedder_parser(__doc__)
    parser.add_argument(
        "--embedding",
        nargs="+",
        metavar="NAME",
        help="in place of the configuration's, see below; all on the same pairs",
    )
    parser.add_argument(
        "--seconds", type=amount, default=3.0, help="of a crop, the middle of an utterance (3)"
    )
    parser.add_argument(
        "--per_speaker", type=positive, default=5, metavar="N", help="utterances at most (5)"
    )
    parser.add_argument(
        "--bootstrap",
        type=positive,
        metavar="N",
        help="add 95 %% intervals from N resamples of the speakers, say 1000",
    )
    parser.add_argument("--seed", type=seed, default=0, help="of utterances and resamples (0)")
    parser.add_argument("--json", action="store_true", help="print fractions as JSON")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("score_embedding"):
        crops = choose_crops(args.data_dir, args.seconds, args.per_speaker, args.seed)
        embedders = load_embedders(args, args.embedding)
        rows = {name: _scores(embed, crops, args) for name, embed in embedders.items()}
        print(json.dumps(rows, indent=2) if args.json else _table(rows))


def _scores(embed: UtteranceEmbedder, crops: Sequence[Crop], args: Namespace) -> dict[str, Any]:
    embeddings = embed_crops(embed, crops, args.seconds)
    every, grouped = compare_pairs(embeddings, crops)
    found: dict[str, Any] = {"size": embeddings.shape[1]}
    for kind, pairs in {"all": every, "one group": grouped}.items():
        if kind == "all" or len(grouped.scores) < len(every.scores):
            same = int(pairs.same.sum())
            found[kind] = {"same": same, "other": len(pairs.same) - same}
            found[kind]["eer"] = equal_error_rate(pairs)
            if args.bootstrap:
                ends = rate_interval(pairs, args.bootstrap, args.seed)
                found[kind] |= ends._asdict()
    return found


def _table(rows: Mapping[str, dict[str, Any]]) -> str:
    some = next(iter(rows.values()))
    kinds = [kind for kind in some if kind != "size"]
    header = ["embedding", "size"]
    header += [f"EER %, {some[k]['same']} same and {some[k]['other']} other of {k}" for k in kinds]
    cells = [[n, str(row["size"]), *(_cell(row[k]) for k in kinds)] for n, row in rows.items()]
    return Table(header, cells).markdown()


def _cell(score: Mapping[str, float]) -> str:
    interval = f" ({percent(score['low'])} to {percent(score['high'])})" if "low" in score else ""
    return percent(score["eer"]) + interval


if __name__ == "__main__":
    main()
