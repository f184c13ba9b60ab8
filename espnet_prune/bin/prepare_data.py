"""Write data directories of a corpus as distributed: meetings, or utterances.

The files of meetings may lie in several folders.
"""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import positive
from espnet_prune.data import DataError
from espnet_prune.data.corpora import meetings, utterances


def get_parser() -> ArgumentParser:
    listed = ["CORPUS, what its folders hold, and where it comes from:", "", "meetings"]
    for name, meeting in meetings.CORPORA.items():
        listed += [f"  {name}: {meeting.folders}", f"    {meeting.home}"]
    listed += ["", "utterances"]
    for name, speech in utterances.CORPORA.items():
        listed += [f"  {name}: {speech.layout}", f"    {speech.home}"]
        listed += [f"    sets: {' '.join(speech.sets)}"]
        listed += [f"    default: {' '.join(speech.default_sets)}"]
    parser = ArgumentParser(
        description=__doc__,
        epilog="\n".join(listed),
        formatter_class=RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    corpora = [*meetings.CORPORA, *utterances.CORPORA]
    add("corpus", metavar="CORPUS", choices=corpora, help="see below")
    add("corpus_dirs", metavar="CORPUS_DIR", nargs="+", type=Path, help="where its files lie")
    add(
        "--output",
        type=Path,
        default=Path("data"),
        help="where {train,dev,test}/{wav.scp,rttm,uem} of meetings go, with mono audio in "
        "local/audio, or <set>/{wav.scp,text,utt2spk,spk2utt} of utterances (default: data)",
    )
    add(
        "--allow_incomplete", action="store_true", help="prepare what is there if files are missing"
    )
    add("--nj", type=positive, default=1, help="meetings to convert at a time (default: 1)")
    add("--sets", metavar="SET", nargs="+", help="of utterances: sets to write, see below")
    add("--audio_only", action="store_true", help="of utterances: no transcripts are written")
    return parser


@explained("prepare_data", logs=True)
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    for name, size in _prepare(args).items():
        print(f"{args.output / name}: {size}")


def _prepare(args: Namespace) -> dict[str, meetings.Size] | dict[str, utterances.Size]:
    corpus, folders, output = args.corpus, args.corpus_dirs, args.output
    if corpus in meetings.CORPORA:
        if args.sets or args.audio_only:
            raise DataError(
                "expected no --sets or --audio_only of meetings, found them; leave them out for "
                f"{corpus}"
            )
        found = meetings.CORPORA[corpus]
        return meetings.prepare(found, folders, output, args.nj, args.allow_incomplete)
    if len(folders) > 1:
        raise DataError(f"expected one folder of {corpus}, found {len(folders)}")
    return utterances.prepare(
        utterances.CORPORA[corpus],
        folders[0],
        output,
        args.sets,
        args.allow_incomplete,
        args.audio_only,
    )


if __name__ == "__main__":
    main()
