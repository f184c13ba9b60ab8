"""Write the speaker embeddings of whole utterances, `utterance number number …`, one a line.

Example: python -m espnet_prune.bin.embed_utterances exp/pruned data/train --embedding campplus \\
    --output data/train/campplus
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.score_embedding import add_embedder_options, load_embedders
from espnet_prune.data.tables import write_lines
from espnet_prune.diarization.embedding import embeddings_help
from espnet_prune.diarization.embedding.verification import read_samples, read_whole_utterances
from espnet_prune.progress import progress
from espnet_prune.storage.files import require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"An embedding is one of\n{embeddings_help()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_embedder_options(parser)
    parser.add_argument("--embedding", metavar="NAME", help="in place of the configuration's")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("embed_utterances"):
        require_writable(args.output)
        data = read_whole_utterances(args.data_dir)
        names = [args.embedding] if args.embedding else None
        (embed,) = load_embedders(args, names).values()
        lines = []
        for key, path in progress(data.wavs.items(), "utterances"):
            values = embed(read_samples(path)).tolist()
            lines.append(" ".join([key, *(f"{value:.6g}" for value in values)]))
        write_lines(args.output, lines)


if __name__ == "__main__":
    main()
