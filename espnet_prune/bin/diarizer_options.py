"""What the commands that diarize share: options, the diarizer they describe, and its work."""

from __future__ import annotations

import argparse
import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import torch

from espnet_prune.bin.errors import refused
from espnet_prune.bin.numbers import positive
from espnet_prune.data import Turn, write_rttm
from espnet_prune.diarization.inference_config import InferenceConfig, config_of_release
from espnet_prune.diarization.local import usable_device
from espnet_prune.diarization.pipeline import Diarizer, find_pipeline
from espnet_prune.encoder import ConfigError
from espnet_prune.encoder.typed import read_typed
from espnet_prune.progress import progress
from espnet_prune.storage.config_files import read_yaml
from espnet_prune.storage.files import require_writable

_SPEAKERS = ("num_speakers", "min_speakers", "max_speakers")

logger = logging.getLogger(__name__)


def add_diarizer_options(parser: argparse.ArgumentParser) -> None:
    """Add the model, its configuration, and what replaces single values of that."""
    parser.add_argument(
        "model",
        help="folder of a diarization model or of a DiariZen release, or its id on Hugging Face",
    )
    parser.add_argument(
        "--config", type=Path, help="YAML with keyword arguments of InferenceConfig"
    )
    parser.add_argument("--precision", help="of the encoder, in place of the configuration's")
    parser.add_argument(
        "--device",
        type=_device,
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="cpu, cuda or cuda:N (default: the GPU where there is one)",
    )
    parser.add_argument(
        "--num_speakers", type=int, metavar="N", help="of every recording, where it is known"
    )
    parser.add_argument("--min_speakers", type=int, metavar="N", help="lower bound on them")
    parser.add_argument("--max_speakers", type=int, metavar="N", help="upper bound on them")


def find_diarizer(args: argparse.Namespace) -> tuple[Path, InferenceConfig]:
    """Where the model of a command line is, and its configuration; no weights are read.

    Raises:
        ConfigError: the configuration has an unknown key, or a value that there is not.
        CheckpointError: there is no such model.
    """
    changes: dict[str, Any] = {"precision": args.precision} if args.precision else {}
    speakers = {name: getattr(args, name) for name in _SPEAKERS}
    if any(value is not None for value in speakers.values()):
        changes |= speakers
    path = find_pipeline(args.model)
    return path, read_config(args.config, config_of_release(path), **changes)


def load_diarizer(args: argparse.Namespace) -> Diarizer:
    """The diarizer of a command line.

    Raises:
        ConfigError, CheckpointError: see :func:`find_diarizer`.
    """
    return Diarizer.from_pretrained(*find_diarizer(args), args.device)


def add_job_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--nj``, for commands that diarize many recordings."""
    parser.add_argument(
        "--nj",
        type=positive,
        default=1,
        help="recordings to diarize at a time; they share the cores (default: 1)",
    )


def diarize_missing(
    command: str,
    load: Callable[[], Diarizer],
    files: Mapping[str, str | Path],
    outputs: Mapping[str, Path],
    nj: int = 1,
    redo: bool = False,
) -> None:
    """Diarize the recordings whose RTTM files are not there, and write each as it comes.

    Args:
        command: for messages.
        load: makes the diarizer, once, if there is anything to do.
        files: audio by recording.
        outputs: RTTM file by recording.
        nj: recordings at a time.
        redo: also those whose RTTM files are there.

    Raises:
        Refused: some recordings failed, which are listed; the others' files are there.
        OSError: a result cannot be written.
    """
    todo = {name: path for name, path in files.items() if redo or not outputs[name].is_file()}
    for folder in {outputs[name].parent for name in todo}:
        require_writable(folder / "any")
    if done := len(files) - len(todo):
        logger.info("skipping %d recording(s) with a result already", done)
    failures = []
    results = _diarize_each(load(), todo, nj) if todo else ()
    for name, turns in progress(results, "recordings", len(todo)):
        try:
            found = turns()
        except Exception as error:  # whatever it is, the other recordings do not wait for it
            foreseen = isinstance(error, (ValueError, OSError))
            logger.error("%s failed", files[name], exc_info=not foreseen)
            failures.append(f"{files[name]}: {error}")
        else:
            write_rttm(outputs[name], {name: found})
    if failures:
        count = f"{len(failures)} of {len(todo)} recording(s) failed"
        raise refused("\n".join([f"{command}: {count}:", *failures]))


def _diarize_each(
    diarizer: Diarizer, files: Mapping[str, str | Path], nj: int
) -> Iterator[tuple[str, Callable[[], list[Turn]]]]:
    """Recordings as they are ready, and what gives their turns or raises what went wrong."""
    ended = threading.Event()

    def watch(starts: Sequence[int], name: str) -> Iterator[int]:
        return itertools.takewhile(lambda _: not ended.is_set(), progress(starts, name))

    threads = max(1, torch.get_num_threads() // nj)
    pool = ThreadPoolExecutor(nj, initializer=torch.set_num_threads, initargs=(threads,))
    jobs = {
        pool.submit(diarizer.diarize, path, name, watch=partial(watch, name=name)): name
        for name, path in files.items()
    }
    try:
        for job in as_completed(jobs):
            yield jobs[job], job.result
    finally:
        ended.set()
        pool.shutdown(cancel_futures=True)


def read_config(path: Path | None, default: InferenceConfig, **changes: Any) -> InferenceConfig:
    """A configuration with the values of a YAML file, and with changes.

    Raises:
        ConfigError: the file has an unknown key, or a value is none that there is.
    """
    values = read_yaml(path) if path else {}
    own = {field.name: getattr(default, field.name) for field in fields(default)}
    return read_typed(InferenceConfig, own | values | changes, path or "inference configuration")


def _device(text: str) -> torch.device:
    try:
        return usable_device(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
