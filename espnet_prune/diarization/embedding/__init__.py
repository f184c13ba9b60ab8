"""Speaker embeddings, what the local speakers of windows sound like: the kinds, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from espnet_prune.diarization.embedding.base import SpeakerEmbedder
from espnet_prune.diarization.embedding.campplus import CAMPlusPlusEmbedder
from espnet_prune.diarization.embedding.head import HeadEmbedder
from espnet_prune.diarization.embedding.pooling import PooledSpectra, PooledStates
from espnet_prune.diarization.embedding.wespeaker import WESPEAKER, WeSpeakerEmbedder
from espnet_prune.encoder import ConfigError, SSLConfig
from espnet_prune.encoder.typed import similar
from espnet_prune.storage import CheckpointError


class Embedding(NamedTuple):
    """A kind of speaker embedding.

    ``summary`` is for the help of the commands. ``make`` makes one, of what follows its name and a
    colon (or of ""), the encoder whose hidden states it may pool, and the layer that ``ssl`` pools.
    """

    summary: str
    make: Callable[[str, SSLConfig, int], SpeakerEmbedder]


def _espnet(place: str, *_: object) -> SpeakerEmbedder:
    try:
        from espnet_prune.diarization.embedding.espnet import ESPnetEmbedder
    except ImportError as error:
        raise CheckpointError(
            f"espnet:{place}: expected ESPnet, found none ({error}); pip install "
            "'espnet_prune[espnet]'"
        ) from error
    return ESPnetEmbedder.from_pretrained(place)


EMBEDDINGS: dict[str, Embedding] = {
    "ssl": Embedding(
        "mean and deviation of a hidden state of the diarization model itself",
        lambda _, encoder, layer: PooledStates.of(encoder, layer),
    ),
    "head": Embedding(
        "what embedding_train has made of its hidden states, beside the model or in head:FOLDER",
        lambda place, encoder, _: HeadEmbedder.from_pretrained(place, encoder),
    ),
    "campplus": Embedding(
        "CAM++ of 3D-Speaker, which comes with this package; campplus:SOURCE, another "
        "campplus_cn_en_common.pt, or our folder of one",
        lambda place, *_: CAMPlusPlusEmbedder.from_pretrained(place),
    ),
    "espnet": Embedding(
        "espnet:SOURCE, a speaker model of ESPnet: an id on Hugging Face, an unpacked archive, or "
        "a *.pth file beside its config.yaml",
        _espnet,
    ),
    "mel": Embedding(
        "mean and deviation of log mel spectra: what any other has to beat",
        lambda *_: PooledSpectra(),
    ),
}
"""The kinds by name; a new one is a file and an entry here. Other names mean WeSpeaker models."""


def embeddings_help() -> str:
    """The lines on :data:`EMBEDDINGS` in the help of the commands."""
    lines = [f"  {name:10} {kind.summary}" for name, kind in EMBEDDINGS.items()]
    other = "or a model of its kind: an id on Hugging Face, a folder, or its pytorch_model.bin"
    return "\n".join([*lines, f"  {WESPEAKER}", f"             {other}"])


def make_embedder(source: str, encoder: SSLConfig, layer: int = 0) -> SpeakerEmbedder:
    """Make the speaker embedding that ``source`` means.

    It is a name of :data:`EMBEDDINGS`, alone or with a colon and a place, or a WeSpeaker model.
    ``encoder`` makes the hidden states that the embedding may pool; ``ssl`` pools that of number
    ``layer``, 0 of the Transformer's input, negative ones counted from the end.

    Raises:
        CheckpointError: there is no such model, it belongs to another encoder, or it needs ESPnet.
        ConfigError: a layer that the encoder does not have, or a name of no embedding.
    """
    name, _, place = source.partition(":")
    if name in EMBEDDINGS:
        return EMBEDDINGS[name].make(place, encoder, layer)
    if "/" not in source and not Path(source).exists():
        known = similar(name, EMBEDDINGS)
        raise ConfigError(
            f"expected an embedding of {', '.join(EMBEDDINGS)}, or a WeSpeaker model as a folder, "
            f"a file or an id on Hugging Face (owner/name), found {source!r} ({known})"
        )
    return WeSpeakerEmbedder.from_pretrained(source)
