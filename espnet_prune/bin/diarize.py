"""Diarize a data directory or audio files of any format, rate and channel count; writes RTTM.

Of audio files each gets an RTTM file of its name; of a data directory all turns go to one. What
is done of a call that ended early, say at a damaged recording, is kept beside that one, in a hidden
folder, and the next call of the same model, configuration and audio goes on from there.
"""

import contextlib
import hashlib
import itertools
import logging
import os
import threading
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

import torch

from espnet_prune.bin.diarizer_options import add_diarizer_options, find_diarizer
from espnet_prune.bin.errors import explained, refused
from espnet_prune.bin.numbers import positive
from espnet_prune.data import DataError, Turn, read_rttm, write_rttm
from espnet_prune.data.audio import FOREIGN, SUFFIXES
from espnet_prune.diarization.pipeline import Diarizer, recording_name, without_blanks
from espnet_prune.diarization.windows import read_wavs
from espnet_prune.progress import progress
from espnet_prune.storage.files import require_writable

logger = logging.getLogger(__name__)


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    add_diarizer_options(parser)
    add = parser.add_argument
    add("--nj", type=positive, default=1, help="recordings at a time, which share the cores (1)")
    add("audio", type=Path, nargs="+", help="a data directory, or audio files and folders of them")
    add("--output", type=Path, required=True, help="RTTM file; of audio files, a folder")
    add("--redo", action="store_true", help="also the files whose RTTM file is there already")
    return parser


@explained("diarize", logs=True)
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    if len(args.audio) == 1 and (args.audio[0] / "wav.scp").is_file():
        _diarize_data_dir(args)
    else:
        files = _find_audio(args.audio)
        _diarize_missing(args, files, {name: args.output / f"{name}.rttm" for name in files})


def _diarize_data_dir(args: Namespace) -> None:
    require_writable(args.output)
    wavs = read_wavs(args.audio[0] / "wav.scp")
    model, config = find_diarizer(args)
    settings = [repr(config), *_state(model), *_state(*_paths(vars(config)))]
    parts = args.output.with_name(f".{args.output.name}.parts")
    outputs = {}
    for name, path in wavs.items():
        key = "\0".join([name, *settings, path, *_state(path)])
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        outputs[name] = parts / f"{digest}.rttm"
    _diarize_missing(args, wavs, outputs)
    write_rttm(args.output, {name: read_rttm(outputs[name]).get(name, []) for name in wavs})
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


def _diarize_missing(
    args: Namespace, files: Mapping[str, str | Path], outputs: Mapping[str, Path]
) -> None:
    """Diarize the recordings without an RTTM file, write each as it comes, and list failures."""
    todo = [name for name in files if args.redo or not outputs[name].is_file()]
    for folder in {outputs[name].parent for name in todo}:
        require_writable(folder / "any")
    if done := len(files) - len(todo):
        logger.info("skipping %d recording(s) with a result already", done)
    if not todo:
        return
    diarizer = Diarizer.from_pretrained(*find_diarizer(args), args.device)
    failures = []
    with _started(diarizer, {name: files[name] for name in todo}, args.nj) as jobs:
        for job in progress(as_completed(jobs), "recordings", len(jobs)):
            name = jobs[job]
            try:
                turns = job.result()
            except Exception as error:  # whatever it is, the other recordings do not wait for it
                foreseen = isinstance(error, (ValueError, OSError))
                logger.error("%s failed", files[name], exc_info=not foreseen)
                failures.append(f"{files[name]}: {error}")
            else:
                write_rttm(outputs[name], {name: turns})
    if failures:
        count = f"diarize: {len(failures)} of {len(todo)} recording(s) failed:"
        raise refused("\n".join([count, *failures]))


@contextlib.contextmanager
def _started(
    diarizer: Diarizer, files: Mapping[str, str | Path], nj: int
) -> Iterator[dict[Future[list[Turn]], str]]:
    """Jobs that diarize the files, ``nj`` at a time; they end with the ``with`` block."""
    ended = threading.Event()

    def watch(starts: Sequence[int], name: str) -> Iterator[int]:
        return itertools.takewhile(lambda _: not ended.is_set(), progress(starts, name))

    threads = max(1, torch.get_num_threads() // nj)
    pool = ThreadPoolExecutor(nj, initializer=torch.set_num_threads, initargs=(threads,))
    try:
        yield {
            pool.submit(diarizer.diarize, path, name, watch=partial(watch, name=name)): name
            for name, path in files.items()
        }
    finally:
        ended.set()
        pool.shutdown(cancel_futures=True)


def _find_audio(paths: Iterable[Path]) -> dict[str, Path]:
    """The files that ``paths`` name or contain, by the name of their recording.

    Files of one name go by their path below the folder that all have in common, without its
    suffix where that tells them apart.

    Raises:
        DataError: a path is missing, none has audio, or two files have one name after all.
    """
    found: dict[Path, Path] = {}
    problems = []
    for path in paths:
        if not path.exists():
            problems.append(f"expected audio, found none at {path}; correct the path")
        inside = _search(path) if path.is_dir() else [path]
        if not inside:
            problems.append(f"expected audio in {path}, found no {', '.join(sorted(SUFFIXES))}")
        for file in inside:
            found.setdefault(file.resolve(), file)
    files: dict[str, Path] = {}
    for file, name in _names(found).items():
        other = files.setdefault(name, found[file])
        if other is not found[file]:
            problems.append(
                f"expected files of different names, found {other} and {found[file]}, whose "
                f"results would both be {name}.rttm; diarize them into different folders"
            )
    if problems:
        raise DataError(*problems)
    return files


def _names(files: Iterable[Path]) -> dict[Path, str]:
    """The name of each file's recording, as short as tells it apart."""
    names = {file: recording_name(file) for file in files}
    common = os.path.commonpath([file.parent for file in names]) if names else ""
    for suffixes in ("left out", "kept"):
        counts = Counter(names.values())
        for file in [file for file, name in names.items() if counts[name] > 1]:
            below = file.relative_to(common)
            names[file] = without_blanks(below if suffixes == "kept" else below.with_suffix(""))
    return names


def _search(folder: Path) -> list[Path]:
    """Audio files in ``folder`` and its subfolders; names with a dot in front are hidden.

    Those that libsndfile does not read are among them, so that their failure is told, unless they
    were converted already.
    """
    files = [path for path in folder.rglob("[!.]*") if path.is_file()]
    audio = [path for path in files if path.suffix.lower() in SUFFIXES]
    converted = {path.with_suffix("") for path in audio}
    foreign = [path for path in files if path.suffix.lower() in FOREIGN]
    return sorted(audio + [path for path in foreign if path.with_suffix("") not in converted])


if __name__ == "__main__":
    main()
