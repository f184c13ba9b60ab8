"""Find out what kind of speaker embedding a name means."""

from __future__ import annotations

import importlib

from espnet_prune.diarization.embedding.base import SpeakerEmbedder
from espnet_prune.diarization.embedding.states import PooledStates
from espnet_prune.diarization.embedding.wespeaker import WESPEAKER, WeSpeakerEmbedder
from espnet_prune.ssl import CheckpointError

EMBEDDINGS = f"""\
  ssl                mean and deviation of a hidden state of the diarization model itself
  {WESPEAKER}
                     that model, or another of its kind: an id on Hugging Face, a folder, or its
                     pytorch_model.bin
  espnet:SOURCE      a speaker model of ESPnet: an id on Hugging Face, an unpacked archive, or a
                     *.pth file beside its config.yaml
"""
"""What :func:`make_embedder` knows, in the help of the commands."""

_SSL, _ESPNET = "ssl", "espnet:"
# By name: this room is complete without those that come later.
_ESPNET_MODULE = "espnet_prune.espnet.speaker_embedder"


def make_embedder(source: str, layer: int = 0) -> SpeakerEmbedder:
    """Make the speaker embedding that ``source`` means.

    Args:
        source: see :data:`EMBEDDINGS`.
        layer: the hidden state that ``ssl`` pools; 0 is the Transformer's input.

    Raises:
        CheckpointError: there is no such model, or ESPnet, which it needs, is not installed.
    """
    if source == _SSL:
        return PooledStates(layer)
    if source.startswith(_ESPNET):
        try:
            module = importlib.import_module(_ESPNET_MODULE)
        except ImportError as error:
            raise CheckpointError(
                f"{source}: expected ESPnet, found none ({error}); pip install "
                "'espnet_prune[espnet]'"
            ) from error
        return module.ESPnetEmbedder.from_pretrained(source.removeprefix(_ESPNET))
    return WeSpeakerEmbedder.from_pretrained(source)
