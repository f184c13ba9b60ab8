"""What the speakers of a recording sound like, and the names of those that are known."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espnet_prune.data.audio.names import without_blanks
from espnet_prune.data.tables import DataError
from espnet_prune.diarization.clustering.base import assign, normalised
from espnet_prune.diarization.local import LocalSpeakers
from espnet_prune.storage.files import atomic_file

Voice: TypeAlias = NDArray[np.float32]
"""An embedding ``(E,)``."""
Voices: TypeAlias = Mapping[str, Voice]
"""Those of some speakers, by name."""


def voices_of(local: LocalSpeakers, labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """The voices ``(M, E)``, of length one, of the speakers that ``(W, S)`` assigns.

    Each is the mean of its local speakers, who count by the frames in which they are alone.
    """
    theirs = labels[local.active]
    known = theirs >= 0
    weights = 1.0 + local.alone[local.active][known, None]  # a frame more, as some never are
    sums = np.zeros((labels.max(initial=-1) + 1, local.embeddings.shape[1]), dtype=np.float32)
    np.add.at(sums, theirs[known], weights * normalised(local.embeddings[known]))
    return normalised(sums)


def numbered(known: Voices) -> Iterator[str]:
    """Names of speakers who are none of the known: ``spk0``, ``spk1``, ..."""
    return (name for name in map("spk{}".format, itertools.count()) if name not in known)


def names_of(
    voices: NDArray[np.float32], known: Voices, least: float, others: Iterator[str]
) -> list[str]:
    """Names of voices ``(M, E)``: those of the known voices that are alike, each once, or others.

    Together the names go where the similarities are the largest, but nowhere below ``least``.

    Raises:
        DataError: the known voices have another size.
    """
    chosen = np.full(len(voices), -1, dtype=np.int64)
    if known and len(voices):
        for name, voice in known.items():
            if voice.shape != voices.shape[1:]:
                raise DataError(
                    f"expected voices of {voices.shape[1]} numbers, as this embedding has, found "
                    f"{len(voice)} of {name!r}; make them with the same model and configuration"
                )
        chosen = assign(voices, np.zeros(len(voices), np.int64), np.stack([*known.values()]), least)
    listed = list(known)
    return [listed[index] if index >= 0 else next(others) for index in chosen]


def check_voices(voices: Mapping[str, ArrayLike], where: object = "") -> dict[str, Voice]:
    """Voices as float32; a DataError, behind ``where``, tells of names and arrays that are none."""
    checked: dict[str, Voice] = {}
    for name, voice in voices.items():
        array = np.asarray(voice)
        real = array.dtype.kind == "f" and array.ndim == 1 and np.isfinite(array).all()
        if not (real and array.any()):
            found = f"{array.dtype} of shape {array.shape}"
        elif not name or name != without_blanks(name):
            found = "a name with blanks"
        else:
            checked[name] = array.astype(np.float32)
            continue
        raise DataError(
            f"{where}{': ' if where else ''}expected a voice as floats (E,) under a name without "
            f"blanks, found {found} of {name!r}; take those that a diarizer gives"
        )
    return checked


def save_voices(path: str | Path, voices: Voices) -> None:
    """Write voices to an NPZ file atomically, an array of each name."""
    with atomic_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        # numpy.savez has arguments of its own, which no speaker could be called by.
        for name, voice in voices.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, voice, allow_pickle=False)


def load_voices(path: str | Path) -> dict[str, Voice]:
    """Read an NPZ file of voices.

    Raises:
        DataError: it is missing, no such file, or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return check_voices(dict(archive), path)
    except DataError:
        raise
    except (OSError, ValueError, AttributeError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: expected an NPZ file of voices, found something else ({error}); take what "
            "--save_embeddings writes"
        ) from error
