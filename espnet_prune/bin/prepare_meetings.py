"""Write data directories of the train, dev and test sets of a meeting corpus as distributed."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import positive
from espnet_prune.data.corpora.meetings import CORPORA, prepare


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    listed = [
        f"  {name:11} {corpus.folders}\n{'':14}{corpus.home}" for name, corpus in CORPORA.items()
    ]
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="\n".join(["CORPUS, what its folders hold, and where it comes from:", *listed]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("corpus", metavar="CORPUS", choices=CORPORA, help="see below")
    parser.add_argument(
        "corpus_dirs", metavar="CORPUS_DIR", nargs="+", type=Path, help="where its files lie"
    )
    parser.add_argument(
        "output_dir",
        metavar="OUTPUT_DIR",
        type=Path,
        help="where {train,dev,test}/{wav.scp,rttm,uem} go, and mono audio in local/audio",
    )
    parser.add_argument(
        "--nj", type=positive, default=1, help="recordings to convert at a time (default: 1)"
    )
    parser.add_argument(
        "--allow_incomplete",
        action="store_true",
        help="prepare the part that is there if files are missing",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    with explained("prepare_meetings"):
        sizes = prepare(
            CORPORA[args.corpus],
            args.corpus_dirs,
            args.output_dir,
            nj=args.nj,
            allow_incomplete=args.allow_incomplete,
        )
    for split, size in sizes.items():
        print(f"{args.output_dir / split}: {size}")


if __name__ == "__main__":
    main()
