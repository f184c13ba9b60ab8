"""Write data directories of a corpus of utterances as distributed."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.data.corpora.utterances import CORPORA, prepare


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    listed = [
        f"  {name}: {corpus.layout}\n    {corpus.home}\n    sets: {' '.join(corpus.sets)}\n"
        f"    default: {' '.join(corpus.default_sets)}"
        for name, corpus in CORPORA.items()
    ]
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="\n".join(["CORPUS, what CORPUS_DIR holds, and where it comes from:", *listed]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("corpus", metavar="CORPUS", choices=CORPORA, help="see below")
    parser.add_argument("corpus_dir", metavar="CORPUS_DIR", type=Path, help="where its files lie")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("data"),
        help="where <set>/{wav.scp,text,utt2spk,spk2utt} go (default: data)",
    )
    parser.add_argument("--sets", metavar="SET", nargs="+", help="sets to write, see below")
    parser.add_argument(
        "--allow_incomplete",
        action="store_true",
        help="prepare the part that is there if files are missing",
    )
    parser.add_argument(
        "--audio_only",
        action="store_true",
        help="transcripts are neither needed nor written",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    with explained("prepare_speech"):
        sizes = prepare(
            CORPORA[args.corpus],
            args.corpus_dir,
            args.output,
            args.sets,
            args.allow_incomplete,
            args.audio_only,
        )
    for name, size in sizes.items():
        print(f"{args.output / name}: {size}")


if __name__ == "__main__":
    main()
