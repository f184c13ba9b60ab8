"""The networks of a diarizer: encoder and head tell who is active, embeddings what voices are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from torch import Tensor, nn

from espnet_prune.diarization.embedding import make_embedder
from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.inference_config import InferenceConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import ConfigError
from espnet_prune.inference import fast_dtype, inference_form, usable_device


class Heard(NamedTuple):
    """What the encoder makes of audio.

    Attributes:
        features: ``(B, L, D)`` float32, which the head reads.
        states: ``(B, L, D)`` float32 by their number, those that embeddings pool.
    """

    features: Tensor
    states: dict[int, Tensor]

    def windows(self, firsts: Sequence[int], frames: int) -> Heard:
        """So many frames from each of some on, of what was heard at once (B = 1), as B windows."""

        def cut(whole: Tensor) -> Tensor:
            return torch.cat([whole[:, first : first + frames] for first in firsts])

        return Heard(cut(self.features), {layer: cut(x) for layer, x in self.states.items()})


class Told(NamedTuple):
    """What the networks tell of windows.

    Attributes:
        activity: ``(B, L, S)`` uint8, zeros and ones.
        alone: ``(B, S)`` number of frames in which that speaker alone is active.
        embeddings: ``(N, E)`` float32 of those that are active at all; None if nobody is.
    """

    activity: NDArray[np.uint8]
    alone: NDArray[np.int64]
    embeddings: NDArray[np.float32] | None


class Networks:
    """Encoder, head and speaker embedding of a model, in the form that a device runs fastest.

    Raises:
        ConfigError: a precision that the device does not have, or a hidden state that the encoder
            does not have.
    """

    def __init__(
        self, model: DiarizationModel, config: InferenceConfig, device: torch.device | str = "cpu"
    ):
        self.model, self.config = model.eval(), config
        self.embedder = make_embedder(
            config.embedding, model.encoder.config, config.embedding_layer
        )
        self.to(device)

    def to(self, device: torch.device | str) -> None:
        """Move all to ``device``; ConfigError of a device without the precision."""
        kind = str(device).partition(":")[0]
        if self.config.precision == "int8" and kind != "cpu":
            raise ConfigError(
                f"expected a precision of float32, bfloat16 or float16 of {kind}, found int8, "
                "which only CPUs have"
            )
        self.device = usable_device(device)
        self.model.to(self.device)
        dtype = fast_dtype(self.config.precision, self.device)
        self.encoder = inference_form(self.model.encoder, dtype)
        # The head has few linear maps, and the last word: 8 bits are not for it.
        self.head = self.model.head.inference_form(torch.float32 if dtype == torch.qint8 else dtype)
        if isinstance(self.embedder, nn.Module):
            self.embedder.to(self.device)

    @torch.no_grad()
    def hear(self, wavs: Tensor) -> Heard:
        """Run the encoder over ``(B, T)``, each item by itself."""
        states: dict[int, Tensor] = {}

        def keeping(layers: Iterable[Tensor]) -> Iterator[Tensor]:
            for layer, state in enumerate(layers):
                state = state.float()
                if layer in self.embedder.layers:
                    states[layer] = state
                yield state

        layers, _ = self.encoder.stream(wavs)
        return Heard(self.model.featurizer.mix(keeping(layers)), states)

    @torch.no_grad()
    def tell(self, stretch: Stretch, heard: Heard) -> Told:
        """Who is active in the windows of a stretch, and what they sound like."""
        scores = self.head(heard.features)
        decided = self.model.powerset.to_multilabel(scores).cpu().numpy().astype(np.uint8)
        activity = median_filter(decided, size=(1, self.config.median, 1), mode="reflect")
        by_oneself = activity * (activity.sum(axis=-1, keepdims=True) == 1)
        alone = by_oneself.sum(axis=1, dtype=np.int64)
        # Overlap says little about a voice, but more than nothing.
        weights = np.where((alone > 0)[:, None], by_oneself, activity)
        voices = self._embed(stretch, heard, weights) if weights.any() else None
        return Told(activity, alone, voices)

    def _embed(
        self, stretch: Stretch, heard: Heard, weights: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """Embeddings ``(N, E)`` of the local speakers that ``(B, L, S)`` gives any weight."""
        active = np.any(weights, axis=1)
        rows = np.flatnonzero(active.any(axis=1))
        shares = torch.from_numpy(weights[rows].astype(np.float32)).to(self.device)
        theirs = {layer: state[torch.from_numpy(rows)] for layer, state in heard.states.items()}
        voices = self.embedder(stretch.part(rows.tolist()), theirs, shares)
        return voices.float().cpu().numpy()[active[rows]]
