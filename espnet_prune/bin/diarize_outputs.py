"""The files that a call of ``diarize`` writes, and what of them an earlier call has left."""

from __future__ import annotations

import contextlib
import hashlib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from espnet_prune.bin.diarizer_options import find_diarizer
from espnet_prune.data import DataError, read_rttm, write_rttm
from espnet_prune.data.audio import AudioSource
from espnet_prune.data.turn_formats import TURN_FORMATS, format_of
from espnet_prune.storage.files import atomic_write, require_writable

if TYPE_CHECKING:
    from espnet_prune.diarization.result import Diarization

RTTM = "rttm"
_VOICES = "npz"

Outputs: TypeAlias = Mapping[str, Mapping[str, Path]]
"""The files of each recording, by their format, or ``npz`` of the embeddings."""


def add_output_options(parser: ArgumentParser) -> None:
    """Add where to write, and in which formats."""
    add = parser.add_argument
    help_ = "RTTM file; of audio files a folder, or of one a file with the suffix of its format"
    add("--output", type=Path, required=True, help=help_)
    help_ = "formats to write, a file of each recording and format (rttm)"
    add("--format", nargs="+", choices=TURN_FORMATS, help=help_)
    help_ = "write embeddings of the speakers: an NPZ file of each recording to this folder"
    add("--save_embeddings", type=Path, metavar="FOLDER", help=help_)
    add("--redo", action="store_true", help="also the files whose results are there already")


def plan(args: Namespace, names: Sequence[str]) -> Outputs:
    """A file of every recording and format, below the folder that is asked for, or that file."""
    kind = None if args.format or args.output.is_dir() else format_of(args.output)
    if kind and len(names) > 1:
        raise DataError(
            f"expected a folder for {len(names)} recordings, found the file {args.output}; "
            "name a folder, and the formats with --format"
        )
    formats = args.format or [kind or RTTM]
    return {
        name: {
            each: args.output if kind else _inside(args.output, name, TURN_FORMATS[each].suffix)
            for each in formats
        }
        | _voices_file(args, name)
        for name in names
    }


def plan_parts(args: Namespace, sources: Mapping[str, AudioSource]) -> Outputs:
    """A file of every recording of a data directory, known by all that its turns depend on."""
    if format_of(args.output) not in (RTTM, None):
        raise DataError(
            f"expected an RTTM file for a data directory, found {args.output}; name one, or a "
            "folder and the formats with --format"
        )
    require_writable(args.output)
    model, config = find_diarizer(args)
    settings = [repr(config), str(args.save_embeddings), *_state(model)]
    settings += _state(*_paths(vars(config)), *filter(None, [args.voices, args.reco2num_spk]))
    outputs = {}
    for name, source in sources.items():
        files = _paths(asdict(cast(Any, source)))
        key = "\0".join([name, *settings, str(source), *_state(*files)])
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        outputs[name] = {RTTM: _parts(args) / f"{digest}.rttm", **_voices_file(args, name)}
    return outputs


def join_parts(args: Namespace, outputs: Outputs) -> None:
    """Write the one RTTM file of a data directory, and remove its parts."""
    parts = _parts(args)
    write_rttm(
        args.output, {name: read_rttm(files[RTTM]).get(name, []) for name, files in outputs.items()}
    )
    for part in parts.glob("*.rttm"):  # of this and of earlier calls
        part.unlink()
    with contextlib.suppress(OSError):  # something else is in it
        parts.rmdir()


def write(found: Diarization, files: Mapping[str, Path]) -> None:
    """Write one recording's files, each atomically."""
    for kind, path in files.items():
        if kind == _VOICES:
            from espnet_prune.diarization.voices import save_voices  # brings torch

            save_voices(path, found.voices)
        else:
            atomic_write(path, TURN_FORMATS[kind].render(found.recording, found.turns))


def _parts(args: Namespace) -> Path:
    return args.output.with_name(f".{args.output.name}.parts")


def _voices_file(args: Namespace, name: str) -> dict[str, Path]:
    folder = args.save_embeddings
    return {_VOICES: _inside(folder, name, f".{_VOICES}")} if folder else {}


def _inside(folder: Path, name: str, suffix: str) -> Path:
    """The file of a recording, whose name may have folders in it, but none above."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise DataError(f"expected the name of a recording, found the path {name!r}; rename it")
    return folder / f"{name}{suffix}"


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
