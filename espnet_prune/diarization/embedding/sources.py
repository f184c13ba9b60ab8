"""Find out what kind of speaker embedding a name means."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

from espnet_prune.diarization.embedding.base import SpeakerEmbedder
from espnet_prune.diarization.embedding.campplus import CAMPlusPlusEmbedder
from espnet_prune.diarization.embedding.head import HeadEmbedder
from espnet_prune.diarization.embedding.pooled import PooledSpectra, PooledStates
from espnet_prune.diarization.embedding.wespeaker import WESPEAKER, WeSpeakerEmbedder
from espnet_prune.encoder import SSLConfig
from espnet_prune.storage import CheckpointError

EMBEDDINGS = f"""\
  ssl                mean and deviation of a hidden state of the diarization model itself
  head, head:FOLDER  what embedding_train has made of its hidden states, beside the model or in
                     FOLDER
  campplus, campplus:SOURCE
                     CAM++ of 3D-Speaker: its campplus_cn_en_common.pt, or our folder of it
  {WESPEAKER}
                     that model, or another of its kind: an id on Hugging Face, a folder, or its
                     pytorch_model.bin
  espnet:SOURCE      a speaker model of ESPnet: an id on Hugging Face, an unpacked archive, or a
                     *.pth file beside its config.yaml
  mel                mean and deviation of log mel spectra: what any other has to beat
"""
"""What :func:`make_embedder` knows, in the help of the commands."""

# By name: this room is complete without those that come later.
_ESPNET_MODULE = "espnet_prune.diarization.embedding.espnet"


def make_embedder(source: str, encoder: SSLConfig, layer: int = 0) -> SpeakerEmbedder:
    """Make the speaker embedding that ``source`` means.

    Args:
        source: see :data:`EMBEDDINGS`.
        encoder: of the hidden states that the embedding may pool.
        layer: the hidden state that ``ssl`` pools; 0 is the Transformer's input, negative ones are
            counted from the end.

    Raises:
        CheckpointError: there is no such model, it belongs to another encoder, or ESPnet, which it
            needs, is not installed.
        ConfigError: a layer that the encoder does not have.
    """
    name, _, place = source.partition(":")
    kinds: Mapping[str, Callable[[], SpeakerEmbedder]] = {
        "ssl": lambda: PooledStates.of(encoder, layer),
        "mel": PooledSpectra,
        "head": lambda: HeadEmbedder.from_pretrained(place, encoder),
        "campplus": lambda: CAMPlusPlusEmbedder.from_pretrained(place),
        "espnet": lambda: _espnet_embedder(source, place),
    }
    make = kinds.get(name, lambda: WeSpeakerEmbedder.from_pretrained(source))
    return make()


def _espnet_embedder(source: str, place: str) -> SpeakerEmbedder:
    try:
        module = importlib.import_module(_ESPNET_MODULE)
    except ImportError as error:
        raise CheckpointError(
            f"{source}: expected ESPnet, found none ({error}); pip install 'espnet_prune[espnet]'"
        ) from error
    return module.ESPnetEmbedder.from_pretrained(place)
