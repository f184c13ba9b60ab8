"""Check a data directory, of meetings or of utterances, and write a formatted copy of its tables.

Meetings: a directory with wav.scp, rttm and optionally uem, every sample of which is read; several
become one. Utterances: a directory with wav.scp, utt2spk and optionally segments and text, or a
text file with the path of an audio file in each line; headers are read, segments are cut out of
their recordings, and what is too short or too long is left out. Writes what ESPnet's stages read,
utt2num_samples of utterances among it.
"""

import math
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, positive
from espnet_prune.data import DataError, LengthLimits, check_data_dir, format_speech
from espnet_prune.data.meetings import merge_data_dirs


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("sources", metavar="SOURCE", nargs="+", type=Path, help="directory, or list, see above")
    add("--output", type=Path, required=True, help="directory to write; audio is not copied")
    add("--min_seconds", type=amount, default=0.0, help="leave out shorter utterances")
    add("--max_seconds", type=float, default=math.inf, help="leave out longer utterances")
    add("--nj", type=positive, default=1, help="headers of utterances to read at a time (1)")
    return parser


@explained("check_data", logs=True)
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    limits = LengthLimits(args.min_seconds, args.max_seconds)
    if all(map(_has_meetings, args.sources)):
        if limits != LengthLimits():
            raise DataError("expected no limits of length of meetings, found some; leave them out")
        _format_meetings(args.sources, args.output)
    elif len(args.sources) > 1:
        raise DataError(
            "expected one SOURCE, or directories of meetings alone, which become one, found "
            f"{len(args.sources)}; format each on its own"
        )
    else:
        print(f"{args.output}: {format_speech(args.sources[0], args.output, limits, args.nj)}")


def _has_meetings(source: Path) -> bool:
    tables = [name for name in ("rttm", "utt2spk") if (source / name).is_file()]
    if source.is_dir() and not tables:
        raise DataError(
            f"{source}: expected a data directory, of meetings with rttm or of utterances with "
            "utt2spk, found neither; create one"
        )
    return "rttm" in tables


def _format_meetings(sources: list[Path], output: Path) -> None:
    for source in sources:
        found = check_data_dir(source)
        print(
            f"{source}: {found.recordings} recordings, {found.hours:.2f} hours, "
            f"{found.speakers} speakers, {found.speech_ratio:.1%} speech, "
            f"{found.overlap_ratio:.1%} of it overlapping"
        )
    print(f"{output}: {merge_data_dirs(sources, output)} recordings")


if __name__ == "__main__":
    main()
