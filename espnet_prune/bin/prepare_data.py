"""Write data directories of a corpus as distributed: meetings, or utterances."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import positive
from espnet_prune.data import DataError
from espnet_prune.data.corpora import meetings, utterances


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    listed = ["CORPUS, what its folders hold, and where it comes from:", "", "meetings"]
    for name, meeting in meetings.CORPORA.items():
        listed += [f"  {name}: {meeting.folders}", f"    {meeting.home}"]
    listed += ["", "utterances"]
    for name, speech in utterances.CORPORA.items():
        listed += [f"  {name}: {speech.layout}", f"    {speech.home}"]
        listed += [f"    sets: {' '.join(speech.sets)}"]
        listed += [f"    default: {' '.join(speech.default_sets)}"]
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="\n".join(listed),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "corpus",
        metavar="CORPUS",
        choices=[*meetings.CORPORA, *utterances.CORPORA],
        help="see below",
    )
    parser.add_argument(
        "corpus_dirs",
        metavar="CORPUS_DIR",
        nargs="+",
        type=Path,
        help="where its files lie; those of meetings may lie in several folders",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("data"),
        help="where {train,dev,test}/{wav.scp,rttm,uem} of meetings go, with mono audio in "
        "local/audio, or <set>/{wav.scp,text,utt2spk,spk2utt} of utterances (default: data)",
    )
    parser.add_argument(
        "--allow_incomplete",
        action="store_true",
        help="prepare the part that is there if files are missing",
    )
    parser.add_argument(
        "--nj", type=positive, default=1, help="meetings to convert at a time (default: 1)"
    )
    parser.add_argument(
        "--sets", metavar="SET", nargs="+", help="of utterances: sets to write, see below"
    )
    parser.add_argument(
        "--audio_only",
        action="store_true",
        help="of utterances: transcripts are neither needed nor written",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    prepare = _prepare_meetings if args.corpus in meetings.CORPORA else _prepare_utterances
    with explained("prepare_data"):
        sizes = prepare(args)
    for name, size in sizes.items():
        print(f"{args.output / name}: {size}")


def _prepare_meetings(args: argparse.Namespace) -> dict[str, meetings.Size]:
    if args.sets or args.audio_only:
        raise DataError(
            f"expected no --sets or --audio_only of meetings, found them; leave them out for "
            f"{args.corpus}"
        )
    return meetings.prepare(
        meetings.CORPORA[args.corpus],
        args.corpus_dirs,
        args.output,
        nj=args.nj,
        allow_incomplete=args.allow_incomplete,
    )


def _prepare_utterances(args: argparse.Namespace) -> dict[str, utterances.Size]:
    if len(args.corpus_dirs) > 1:
        raise DataError(f"expected one folder of {args.corpus}, found {len(args.corpus_dirs)}")
    return utterances.prepare(
        utterances.CORPORA[args.corpus],
        args.corpus_dirs[0],
        args.output,
        args.sets,
        args.allow_incomplete,
        args.audio_only,
    )


if __name__ == "__main__":
    main()
