"""ESPnet's own speaker models (Jung et al., 2024) as embeddings of local speakers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from espnet2.spk.espnet_model import ESPnetSpeakerModel
from espnet2.tasks.spk import SpeakerTask
from torch import Tensor, nn

from espnet_prune.data.audio import SAMPLE_RATE
from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.encoder import ConfigError
from espnet_prune.formats.espnet import load_trained
from espnet_prune.formats.sources import find_source
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.config_files import read_yaml

_META = "meta.yaml"
_FRAME = SAMPLE_RATE * 20 // 1000
# Less than ESPnet trains on, and enough for the receptive field of each of its encoders.
_SHORTEST = SAMPLE_RATE // 2


class ESPnetEmbedder(nn.Module):
    """Embed a local speaker as the utterance that its own frames make, one after the other.

    ESPnet's models pool in many ways, none under a mask: each local speaker takes a pass, whose
    cost grows with its speech. What is shorter than half a second is repeated.
    """

    layers: Collection[int] = ()

    def __init__(self, model: ESPnetSpeakerModel):
        super().__init__()
        self.model = model.requires_grad_(False)
        self.eval()

    @classmethod
    def from_pretrained(cls, source: str) -> ESPnetEmbedder:
        """Load what ``espnet2.bin.spk_train`` wrote, strictly.

        That is a ``*.pth`` file beside its ``config.yaml``, the folder of an unpacked archive (with
        ``meta.yaml``), or the id of such a one on Hugging Face. CheckpointError: it is missing,
        damaged or of another task.
        """
        path = find_source(source, also=("*.yaml", "*.pth"))
        return cls(load_trained(SpeakerTask, _model_file(path) if path.is_dir() else path))

    def forward(self, stretch: Stretch, states: Mapping[int, Tensor], weights: Tensor) -> Tensor:
        """As of :class:`SpeakerEmbedder`; a frame with any weight counts in full."""
        heard = (weights > 0).any(1)
        if not heard.any():
            # The model tells the size of an embedding only by making one.
            return weights.new_zeros(*heard.shape, 1)
        found = heard.nonzero().tolist()
        voices = (_utterance(stretch, row, weights[row, :, speaker]) for row, speaker in found)
        vectors = [self.model(speech=voice[None], extract_embd=True)[0] for voice in voices]
        embeddings = weights.new_zeros(*heard.shape, vectors[0].size(-1))
        embeddings[heard] = torch.stack(vectors)
        return embeddings


def _utterance(stretch: Stretch, row: int, weights: Tensor) -> Tensor:
    """The samples of a window's frames that have any weight of ``(L,)``, ``(T',)``."""
    start = stretch.starts[row]
    window = stretch.samples[start : start + stretch.size][: len(weights) * _FRAME]
    window = F.pad(window, (0, len(weights) * _FRAME - len(window)))  # Whisper's last may stick out
    samples = window.view(-1, _FRAME)[weights.nonzero().flatten()].flatten()
    return samples.repeat(-(-_SHORTEST // len(samples))) if len(samples) < _SHORTEST else samples


def _model_file(folder: Path) -> Path:
    """The weights that the ``meta.yaml`` of an unpacked archive names."""
    try:
        return folder / read_yaml(folder / _META)["files"]["model_file"]
    except (TypeError, KeyError, ConfigError) as error:
        raise CheckpointError(
            f"{folder}: expected a {_META} that names a model_file, found none ({error!r}); pass "
            "the *.pth file itself"
        ) from error
