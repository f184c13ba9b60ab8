"""Diarize a data directory or audio files of any format, rate and channel count; writes RTTM.

Of audio files each gets a file of its name, in every format that is asked for; of a data directory
all turns go to one RTTM file. What is done of a call that ended early, say at a damaged recording,
is kept beside that one, in a hidden folder, and the next call of the same model, configuration and
audio goes on from there.
"""

import contextlib
import hashlib
import itertools
import logging
import threading
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

import torch

from espnet_prune.bin.diarizer_options import add_diarizer_options, find_diarizer
from espnet_prune.bin.errors import explained, refused
from espnet_prune.bin.numbers import positive
from espnet_prune.data import DataError, read_rttm, write_rttm
from espnet_prune.data.audio import AudioSource, parse_source, read_scp
from espnet_prune.data.audio.finding import STANDARD_INPUT, each_channel, find_audio
from espnet_prune.data.meetings import read_speaker_counts
from espnet_prune.data.tables import entry_of
from espnet_prune.data.turn_formats import TURN_FORMATS, format_of
from espnet_prune.diarization.pipeline import Diarization, Diarizer
from espnet_prune.diarization.voices import load_voices, save_voices
from espnet_prune.progress import progress
from espnet_prune.storage.files import atomic_write, require_writable

Sources: TypeAlias = Mapping[str, AudioSource]
Outputs: TypeAlias = Mapping[str, Mapping[str, Path]]
"""The files of each recording, by their format, or ``npz`` of the embeddings."""

_RTTM, _VOICES = "rttm", "npz"

logger = logging.getLogger(__name__)


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    add_diarizer_options(parser)
    add = parser.add_argument
    add("--nj", type=positive, default=1, help="recordings at a time, which share the cores (1)")
    help_ = "a data directory, or audio files and folders of them; - is standard input"
    add("audio", type=Path, nargs="+", help=help_)
    help_ = "RTTM file; of audio files a folder, or of one a file with the suffix of its format"
    add("--output", type=Path, required=True, help=help_)
    help_ = "formats to write, a file of each recording and format (rttm)"
    add("--format", nargs="+", choices=TURN_FORMATS, help=help_)
    add("--redo", action="store_true", help="also the files whose results are there already")
    add("--each_channel", action="store_true", help="every channel as a recording of its own")
    help_ = "Kaldi's reco2num_spk: the number of speakers of each recording"
    add("--reco2num_spk", type=Path, metavar="FILE", help=help_)
    help_ = "known voices, whose names speakers get: an NPZ file, or a folder with audio of each"
    add("--voices", type=Path, help=help_)
    help_ = "write embeddings of the speakers: an NPZ file of each recording to this folder"
    add("--save_embeddings", type=Path, metavar="FOLDER", help=help_)
    help_ = "run the commands with | of wav.scp, as Kaldi does; only if you trust that file"
    add("--run_commands", action="store_true", help=help_)
    return parser


@explained("diarize", logs=True)
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    one_file = args.format in (None, [_RTTM])
    table = args.audio[0] / "wav.scp"
    if len(args.audio) == 1 and table.is_file():
        if one_file:
            require_writable(args.output)
        sources = read_scp(table, partial(parse_source, commands=args.run_commands))
    else:
        sources, one_file = find_audio(args.audio), False
    if args.each_channel:
        if Path(STANDARD_INPUT) in args.audio:
            raise DataError("expected a file of each channel, found standard input; save it first")
        sources = each_channel(sources)
    if one_file:
        _diarize_to_one_file(args, sources)
    else:
        _diarize_missing(args, sources, _outputs(args, list(sources)))


def _outputs(args: Namespace, names: Sequence[str]) -> Outputs:
    """A file of every recording and format, below the folder that is asked for."""
    kind = format_of(args.output)
    if kind and not args.format and not args.output.is_dir():
        if len(names) > 1:
            raise DataError(
                f"expected a folder for {len(names)} recordings, found the file {args.output}; "
                "name a folder, and the formats with --format"
            )
        return {name: {kind: args.output, **_voices_file(args, name)} for name in names}
    formats = [(kind, TURN_FORMATS[kind].suffix) for kind in args.format or [_RTTM]]
    return {
        name: {kind: _inside(args.output, name, suffix) for kind, suffix in formats}
        | _voices_file(args, name)
        for name in names
    }


def _voices_file(args: Namespace, name: str) -> dict[str, Path]:
    folder = args.save_embeddings
    return {_VOICES: _inside(folder, name, f".{_VOICES}")} if folder else {}


def _inside(folder: Path, name: str, suffix: str) -> Path:
    """The file of a recording, whose name may have folders in it, but none above."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise DataError(f"expected the name of a recording, found the path {name!r}; rename it")
    return folder / f"{name}{suffix}"


def _diarize_to_one_file(args: Namespace, sources: Sources) -> None:
    model, config = find_diarizer(args)
    settings = [repr(config), *_state(model), *_state(*_paths(vars(config)))]
    settings += _state(*filter(None, [args.voices, args.reco2num_spk]))
    parts = args.output.with_name(f".{args.output.name}.parts")
    outputs = {}
    for name, source in sources.items():
        files = _paths(asdict(cast(Any, source)))
        key = "\0".join([name, *settings, str(source), *_state(*files)])
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        outputs[name] = {_RTTM: parts / f"{digest}.rttm", **_voices_file(args, name)}
    _diarize_missing(args, sources, outputs)
    turns = {name: read_rttm(outputs[name][_RTTM]).get(name, []) for name in sources}
    write_rttm(args.output, turns)
    for part in parts.glob("*.rttm"):  # of this and of earlier calls
        part.unlink()
    with contextlib.suppress(OSError):  # something else is in it
        parts.rmdir()


def _state(*paths: str | Path) -> Iterator[str]:
    """Size and time of change of every file that ``paths`` name or contain."""
    for path in map(Path, paths):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                status = file.stat()
                yield f"{file} {status.st_size} {status.st_mtime_ns}"


def _paths(values: object) -> Iterator[str]:
    """The texts among the values of a configuration that name something on the disk."""
    if isinstance(values, Mapping):
        for value in values.values():
            yield from _paths(value)
    elif isinstance(values, str) and Path(values).exists():
        yield values


def _diarize_missing(args: Namespace, sources: Sources, outputs: Outputs) -> None:
    """Diarize the recordings that lack a file, write each as it comes, and list failures."""
    todo = [
        name
        for name, files in outputs.items()
        if args.redo or not all(file.is_file() for file in files.values())
    ]
    for folder in {file.parent for name in todo for file in outputs[name].values()}:
        require_writable(folder / "any")
    if done := len(sources) - len(todo):
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
                _write(found, outputs[name])
    if failures:
        count = f"diarize: {len(failures)} of {len(todo)} recording(s) failed:"
        raise refused("\n".join([count, *failures]))


def _diarizers(args: Namespace, names: Sequence[str]) -> dict[str, Diarizer]:
    """What diarizes each recording: one model, with the number of its speakers if it is known."""
    counts = read_speaker_counts(args.reco2num_spk) if args.reco2num_spk else {}
    numbers = {name: entry_of(name, counts, args.reco2num_spk) for name in names if counts}
    diarizer = Diarizer.from_pretrained(*find_diarizer(args), args.device)
    if args.voices and args.voices.is_dir():
        voices = find_audio([args.voices])
        diarizer = diarizer.with_voices({name: diarizer.voice(voices[name]) for name in voices})
    elif args.voices:
        diarizer = diarizer.with_voices(load_voices(args.voices))
    return {name: diarizer.with_speakers(numbers.get(name)) for name in names}


@contextlib.contextmanager
def _started(
    diarizers: Mapping[str, Diarizer], sources: Sources, nj: int
) -> Iterator[dict[Future[Diarization], str]]:
    """Jobs that diarize the recordings, ``nj`` at a time; they end with the ``with`` block."""
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


def _write(found: Diarization, files: Mapping[str, Path]) -> None:
    for kind, path in files.items():
        if kind == _VOICES:
            save_voices(path, found.voices)
        else:
            atomic_write(path, TURN_FORMATS[kind].render(found.recording, found.turns))


if __name__ == "__main__":
    main()
