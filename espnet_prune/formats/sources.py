"""Find out what a source is, and hand it to the importer of its kind."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from torch import nn

from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.model import SSLEncoder, Storage
from espnet_prune.encoder.presets import PRESETS
from espnet_prune.encoder.typed import shortened
from espnet_prune.formats.diarizen import CONFIG as DIARIZEN_CONFIG
from espnet_prune.formats.diarizen import import_diarizen
from espnet_prune.formats.dphubert import import_dphubert
from espnet_prune.formats.fairseq import import_fairseq
from espnet_prune.formats.huggingface import (
    FILES,
    PICKLE,
    import_huggingface,
    import_huggingface_model,
)
from espnet_prune.formats.pickles import load_pickle
from espnet_prune.formats.torchaudio import import_bundle, import_torchaudio
from espnet_prune.formats.whisper import import_openai
from espnet_prune.history import HISTORY
from espnet_prune.storage.checkpoint import (
    CONFIG,
    load_encoder,
    load_folder,
    push_encoder,
    read_config,
    restore_encoder,
    save_encoder,
)
from espnet_prune.storage.embedded import EMBEDDED
from espnet_prune.storage.hub import download_file, download_folder
from espnet_prune.storage.sniffing import SAFETENSORS, require_kind

logger = logging.getLogger(__name__)

SOURCES = f"""\
  {", ".join(EMBEDDED)}
                     come with this package; the second is the encoder of its diarization model
  folder             what save_pretrained of this package or of transformers wrote, a diarization
                     model of this package (its encoder is taken), or a release of DiariZen
  file               WavLM of Microsoft, HuBERT and wav2vec 2.0 of fairseq, s3prl's conversions
                     of them, OpenAI's Whisper, or an encoder that DPHuBERT's or DiariZen's code
                     wrote
  owner/name         such a folder on Hugging Face, or owner/name@revision
  https://...        such a file, or the page of such a folder on Hugging Face
  torchaudio:BUNDLE  for example torchaudio:HUBERT_BASE
"""
"""What :func:`import_encoder` reads, in the help of the commands."""

LAYOUTS: dict[tuple[str, ...], Callable[[Path, dict[str, Any]], SSLEncoder]] = {
    ("cfg", "model"): import_fairseq,
    ("args", "model"): import_fairseq,
    ("task_cfg", "model_cfg", "model_weight"): import_fairseq,
    ("config", "state_dict"): import_dphubert,
    ("dims", "model_state_dict"): import_openai,
}
"""Readers of PyTorch files by the keys that these have; a new format is a file and a line here."""
_TORCHAUDIO = "torchaudio:"
_HUB = re.compile(
    r"(?:https://huggingface\.co/)?(?P<name>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[\w./-]+))?/?"
)
_DIARIZATION_MODEL = "diarization_model"
_ITS_ENCODER = "featurizer.encoder."


def import_encoder(source: str | PathLike[str] | nn.Module) -> SSLEncoder:
    """Load an encoder, strictly and in eval mode.

    Its source is one of :data:`SOURCES`, or a model of transformers or torchaudio, whose weights
    are copied.

    Raises:
        CheckpointError: the source is missing, damaged, unsafe or of a kind not known here.
    """
    if isinstance(source, nn.Module):
        return _import_model(source)
    name = os.fspath(source)
    if name.startswith(_TORCHAUDIO):
        return import_bundle(name.removeprefix(_TORCHAUDIO))
    path = find_source(name)
    return _import_folder(path) if path.is_dir() else _import_file(path)


def encoder_of(model: str | PathLike[str]) -> SSLEncoder:
    """As :func:`import_encoder`; of the folder of an ESPnet task's model, the encoder inside."""
    inner = Path(model, "encoder")
    own = (inner / CONFIG).is_file() and not Path(model, CONFIG).is_file()
    return import_encoder(inner if own else model)


def find_source(source: str | PathLike[str], also: Sequence[str] = ()) -> Path:
    """The local folder or file that ``source`` is, or a download of it.

    ``also`` is what else to get from Hugging Face beside an encoder, as names and patterns.

    Raises:
        CheckpointError: there is none.
    """
    name = os.fspath(source)
    if name in EMBEDDED:
        return EMBEDDED[name]
    url = urlsplit(name)
    path = Path(url2pathname(url.path) if url.scheme == "file" else name)
    if path.exists():
        return path
    if found := _HUB.fullmatch(name):
        return _snapshot(found["name"], found["revision"], also)
    if url.scheme in ("http", "https"):
        return download_file(name)
    found_instead = "no such file or folder; check the path"
    if name in PRESETS:
        found_instead = "a preset, which is a shape without weights: SSLEncoder(PRESETS[name]())"
    raise CheckpointError(
        f"{name}: expected {', '.join(EMBEDDED)}, a folder, a file, an id on Hugging Face "
        f"(owner/name), a URL or {_TORCHAUDIO}BUNDLE, found {found_instead}"
    )


def _snapshot(name: str, revision: str | None, also: Sequence[str]) -> Path:
    # Many models lie there twice, as safetensors and as a pickle: the latter only if need be.
    patterns = [*FILES, DIARIZEN_CONFIG, *also]
    folder = download_folder(name, revision, [each for each in patterns if each != PICKLE])
    if any(folder.glob("*.safetensors")):
        return folder
    return download_folder(name, revision, patterns)


def _import_model(model: nn.Module) -> SSLEncoder:
    libraries = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    if "transformers" in libraries:
        return import_huggingface_model(model)
    if "torchaudio" in libraries:
        return import_torchaudio(model)
    raise CheckpointError(
        f"expected a model of transformers or torchaudio, found {type(model).__name__}"
    )


def _import_folder(folder: Path) -> SSLEncoder:
    for name, import_ in FOLDERS.items():
        if (folder / name).is_file():
            return import_(folder)
    files = shortened(sorted(path.name for path in folder.iterdir()))
    raise CheckpointError(
        f"{folder}: expected a folder with {CONFIG} (of this package or transformers) or "
        f"{DIARIZEN_CONFIG} (of DiariZen), found {files or 'no file'}; pass that folder, or the "
        "file or URL of the weights"
    )


def _import_described(folder: Path) -> SSLEncoder:
    """From a folder of this package, whose config tells its kind, or of transformers."""
    kind = read_config(folder / CONFIG).get("kind")
    if kind != _DIARIZATION_MODEL:
        return load_encoder(folder) if kind else import_huggingface(folder)
    values, state = load_folder(folder, _DIARIZATION_MODEL)
    ours = {key for key in state if key.startswith(_ITS_ENCODER)}
    logger.info(
        "%s: leaving out %s, which diarize: DiarizationModel.from_pretrained reads them",
        folder,
        shortened(sorted(state.keys() - ours)),
    )
    weights = {key.removeprefix(_ITS_ENCODER): state[key] for key in ours}
    return restore_encoder(values.get("encoder", {}), weights, folder, values.get(HISTORY, ()))


def _import_file(path: Path) -> SSLEncoder:
    if path.suffix == ".safetensors":
        require_kind(path, SAFETENSORS)
        raise CheckpointError(
            f"{path}: expected weights with their config, found weights alone; pass the folder "
            f"with {CONFIG} that they belong to"
        )
    checkpoint = load_pickle(path)
    keys = tuple(map(str, checkpoint)) if isinstance(checkpoint, dict) else ()
    for layout, import_ in LAYOUTS.items():
        if set(layout) <= set(keys):
            return import_(path, checkpoint)
    if any(key.startswith("wavlm_model.") for key in keys):
        return import_diarizen(path)
    known = ", or ".join(" and ".join(layout) for layout in LAYOUTS)
    found = shortened(keys) if keys else type(checkpoint).__name__
    raise CheckpointError(
        f"{path}: expected a checkpoint with {known}, found {found}; weights alone do not tell "
        "the shape of a model: pass a folder that holds its config too"
    )


FOLDERS: dict[str, Callable[[Path], SSLEncoder]] = {
    CONFIG: _import_described,
    DIARIZEN_CONFIG: import_diarizen,
}
"""Readers of folders by the file that they have."""

STORAGE = Storage(import_encoder, save_encoder, push_encoder)
"""What the methods of :class:`SSLEncoder` do."""
