"""Tell how well speaker embeddings tell voices apart: equal error rates over pairs of crops.

Example: python -m espnet_prune.bin.score_embedding exp/pruned data/test --embedding head campplus
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from espnet_prune.bin.diarizer_options import read_config
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, positive, seed
from espnet_prune.bin.score_der import percent
from espnet_prune.diarization.embedding import EMBEDDINGS, make_embedder
from espnet_prune.diarization.inference_config import InferenceConfig, with_companions
from espnet_prune.report.markdown import markdown_table
from espnet_prune.speech.verification import (
    Crop,
    CropEmbedder,
    choose_crops,
    compare_pairs,
    equal_error_rate,
    rate_interval,
)
from espnet_prune.ssl import SSLEncoder
from espnet_prune.ssl.inference import PRECISIONS, inference_form


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"An embedding is one of\n{EMBEDDINGS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="a diarization model, or an encoder of any format")
    parser.add_argument(
        "data_dir",
        type=Path,
        help="wav.scp and utt2spk; with spk2gender or spk2age pairs of other speakers are also "
        "scored within groups of one sex and age (under 18 or not)",
    )
    parser.add_argument(
        "--config", type=Path, help="YAML with keyword arguments of InferenceConfig"
    )
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
        config = read_config(args.config, InferenceConfig())
        crops = choose_crops(args.data_dir, args.seconds, args.per_speaker, args.seed)
        encoder = SSLEncoder.from_pretrained(args.model)
        form = inference_form(encoder, PRECISIONS[config.precision])
        rows = {}
        for name in args.embedding or [config.embedding]:
            chosen = with_companions(replace(config, embedding=name), Path(args.model))
            embedder = make_embedder(chosen.embedding, encoder.config, chosen.embedding_layer)
            embed = CropEmbedder(embedder, form)
            rows[name] = _scores(embed, crops, args)
        print(json.dumps(rows, indent=2) if args.json else _table(rows))


def _scores(embed: CropEmbedder, crops: Sequence[Crop], args: argparse.Namespace) -> dict[str, Any]:
    embeddings = embed(crops, args.seconds)
    found: dict[str, Any] = {"size": embeddings.shape[1]}
    grouped = len({crop.group for crop in crops}) > 1
    both = zip(("all", "group"), compare_pairs(embeddings, crops), strict=True)
    for kind, pairs in list(both)[: 1 + grouped]:
        same = int(pairs.same.sum())
        found[kind] = {
            "same": same, "other": len(pairs.same) - same, "eer": equal_error_rate(pairs),
        }  # fmt: skip
        if args.bootstrap:
            found[kind]["low"], found[kind]["high"] = rate_interval(
                pairs, args.bootstrap, args.seed
            )
    return found


def _table(rows: dict[str, dict[str, Any]]) -> str:
    header = ["embedding", "size"]
    kinds = [kind for kind in ("all", "group") if kind in next(iter(rows.values()))]
    titles = {"all": "of all", "group": "of one group"}
    for kind in kinds:
        pairs = next(iter(rows.values()))[kind]
        header.append(f"EER %, {pairs['same']} same, {pairs['other']} other {titles[kind]}")
    cells = [
        [name, str(row["size"]), *(_cell(row[kind]) for kind in kinds)]
        for name, row in rows.items()
    ]
    return "\n".join(markdown_table(header, cells, text=1))


def _cell(score: dict[str, Any]) -> str:
    interval = f" ({percent(score['low'])} to {percent(score['high'])})" if "low" in score else ""
    return percent(score["eer"]) + interval


if __name__ == "__main__":
    main()
