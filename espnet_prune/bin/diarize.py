"""Diarize a data directory or audio files of any format, rate and channel count; writes RTTM.

Of audio files each gets a file of its name, in every format that is asked for; of a data directory
all turns go to one RTTM file. What is done of a call that ended early, say at a damaged recording,
is kept beside that one, in a hidden folder, and the next call of the same model, configuration and
audio goes on from there. Calls with --part share such work among processes or machines.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from argparse import (
    ArgumentParser,
    ArgumentTypeError,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from espnet_prune.bin.diarize_outputs import (
    RTTM,
    Outputs,
    add_output_options,
    join_parts,
    plan,
    plan_parts,
    write,
)
from espnet_prune.bin.diarizer_options import add_diarizer_options, load_diarizer
from espnet_prune.bin.errors import explained, refused
from espnet_prune.bin.numbers import positive
from espnet_prune.data import DataError
from espnet_prune.data.audio import AudioSource, parse_source, read_scp
from espnet_prune.data.audio.finding import STANDARD_INPUT, each_channel, find_audio
from espnet_prune.data.meetings import read_speaker_counts
from espnet_prune.data.tables import entry_of
from espnet_prune.progress import progress
from espnet_prune.storage.embedded import DIARIZER
from espnet_prune.storage.files import require_writable
from espnet_prune.storage.sniffing import is_unknown

# What is imported within functions brings torch: --help does without.
if TYPE_CHECKING:
    from espnet_prune.diarization.pipeline import Diarizer
    from espnet_prune.diarization.result import Diarization

# What a folder of a model has.
_MODELS = ("config.json", "config.toml")
Sources: TypeAlias = Mapping[str, AudioSource]

logger = logging.getLogger(__name__)


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    add_diarizer_options(parser)
    add_output_options(parser)
    add = parser.add_argument
    add("--nj", type=positive, default=1, help="recordings at a time, which share the cores (1)")
    help_ = "the K-th of N shares of the recordings alone; a call without joins a data directory's"
    add("--part", type=_part, default=(1, 1), metavar="K/N", help=help_)
    help_ = "a data directory, or audio files and folders of them; - is standard input"
    add("audio", type=Path, nargs="+", help=help_)
    add("--each_channel", action="store_true", help="every channel as a recording of its own")
    help_ = "Kaldi's reco2num_spk: the number of speakers of each recording"
    add("--reco2num_spk", type=Path, metavar="FILE", help=help_)
    help_ = "known voices, whose names speakers get: an NPZ file, or a folder with audio of each"
    add("--voices", type=Path, help=help_)
    help_ = "run the commands with | of wav.scp, as Kaldi does; only if you trust that file"
    add("--run_commands", action="store_true", help=help_)
    return parser


@explained("diarize", logs=True)
def main(cmd: list[str] | None = None) -> None:
    # Options may stand between the model and the audio.
    args = get_parser().parse_intermixed_args(cmd)
    if _is_audio(Path(args.model)):
        args.audio, args.model = [Path(args.model), *args.audio], DIARIZER
    table = args.audio[0] / "wav.scp"
    is_data_dir = len(args.audio) == 1 and table.is_file()
    if is_data_dir:
        sources = read_scp(table, partial(parse_source, commands=args.run_commands))
    else:
        sources = find_audio(args.audio)
    if args.each_channel:
        if Path(STANDARD_INPUT) in args.audio:
            raise DataError("expected a file of each channel, found standard input; save it first")
        sources = each_channel(sources)
    if is_data_dir and args.format in (None, [RTTM]):
        parts = plan_parts(args, sources)
        _diarize_missing(args, sources, parts)
        if args.part == (1, 1):
            join_parts(args, parts)
    else:
        _diarize_missing(args, sources, plan(args, list(sources)))


def _is_audio(path: Path) -> bool:
    """Whether what stands where a model may stand is none, but something to diarize."""
    if path.is_file():
        return is_unknown(path)
    if not path.is_dir() or any((path / name).is_file() for name in _MODELS):
        return False
    with contextlib.suppress(DataError):  # nothing to diarize in there
        return (path / "wav.scp").is_file() or bool(find_audio([path]))
    return False


def _part(text: str) -> tuple[int, int]:
    part, slash, parts = text.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 0 < int(part) <= int(parts)):
        raise ArgumentTypeError(f"expected a share such as 1/4, found {text!r}")
    return int(part), int(parts)


def _diarize_missing(args: Namespace, sources: Sources, outputs: Outputs) -> None:
    """Diarize the recordings that lack a file, write each as it comes, and list failures."""
    part, parts = args.part
    share = list(outputs)[part - 1 :: parts]
    todo = [
        name
        for name in share
        if args.redo or not all(file.is_file() for file in outputs[name].values())
    ]
    for folder in {file.parent for name in todo for file in outputs[name].values()}:
        require_writable(folder / "any")
    if done := len(share) - len(todo):
        logger.info("skipping %d recording(s) with a result already", done)
    if not todo:
        return
    diarizers = _diarizers(args, todo)
    failures = []
    with _started(diarizers, sources, args.nj) as jobs:
        for job in progress(as_completed(jobs), "recordings", len(jobs)):
            name = jobs[job]
            try:
                found = job.result()
            except Exception as error:  # whatever it is, the other recordings do not wait for it
                foreseen = isinstance(error, (ValueError, OSError))
                logger.error("%s failed", sources[name], exc_info=not foreseen)
                failures.append(f"{sources[name]}: {error}")
            else:
                write(found, outputs[name])
    if failures:
        count = f"diarize: {len(failures)} of {len(todo)} recording(s) failed:"
        raise refused("\n".join([count, *failures]))


def _diarizers(args: Namespace, names: Sequence[str]) -> dict[str, Diarizer]:
    """What diarizes each recording: one model, with the number of its speakers if it is known."""
    counts = read_speaker_counts(args.reco2num_spk) if args.reco2num_spk else {}
    numbers = {
        name: entry_of(name, counts, args.reco2num_spk) for name in names if args.reco2num_spk
    }
    diarizer = load_diarizer(args)
    if args.voices and args.voices.is_dir():
        voices = find_audio([args.voices])
        diarizer = diarizer.with_voices({name: diarizer.voice(voices[name]) for name in voices})
    elif args.voices:
        from espnet_prune.diarization.voices import load_voices

        diarizer = diarizer.with_voices(load_voices(args.voices))
    return {name: diarizer.with_speakers(numbers.get(name)) for name in names}


@contextlib.contextmanager
def _started(
    diarizers: Mapping[str, Diarizer], sources: Sources, nj: int
) -> Iterator[dict[Future[Diarization], str]]:
    """Jobs that diarize the recordings, ``nj`` at a time; they end with the ``with`` block."""
    import torch

    ended = threading.Event()

    def watch(starts: Sequence[int], name: str) -> Iterator[int]:
        return itertools.takewhile(lambda _: not ended.is_set(), progress(starts, name))

    threads = max(1, torch.get_num_threads() // nj)
    pool = ThreadPoolExecutor(nj, initializer=torch.set_num_threads, initargs=(threads,))
    try:
        yield {
            pool.submit(diarizer.run, sources[name], name, partial(watch, name=name)): name
            for name, diarizer in diarizers.items()
        }
    finally:
        ended.set()
        pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    main()
