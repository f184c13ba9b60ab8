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
from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.inference_config import InferenceConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import ConfigError
from espnet_prune.inference import fast_dtype, inference_form, usable_device
from espnet_prune.inference.workers import Map

# The share of a piece, at each of its ends, of which the piece beside it knows the surroundings.
_MARGIN = 1 / 16


class Heard(NamedTuple):
    """What the encoder makes of audio.

    Attributes:
        features: ``(B, L, D)`` float32, which the head reads.
        states: ``(B, L, D)`` float32 by their number, those that embeddings pool.
    """

    features: Tensor
    states: dict[int, Tensor]

    def windows(self, firsts: Sequence[int], frames: int) -> Heard:
        """Windows ``(B, frames, D)`` of the one item, by their first frames."""

        def cut(x: Tensor) -> Tensor:
            return torch.stack([x[0, first : first + frames] for first in firsts])

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
        self.grid = FrameGrid.of(model.encoder.config)
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

    def hear_long(self, samples: Tensor, size: int, batch: int, each: Map) -> Heard:
        """Run the encoder over ``(T,)`` in overlapping pieces of ``size`` samples, ``batch`` each.

        A piece is as long as a window, which is what the model was trained on; frames near its ends
        are taken from the one beside it. So every second is encoded about once, though states
        are not those of any one window.
        """
        size = min(size, len(samples))
        hop, frames = self.grid.hop, self.grid.num_frames(size)
        size = self.grid.shortest + (frames - 1) * hop
        last, margin = self.grid.num_frames(len(samples)) - frames, int(frames * _MARGIN)
        firsts = [*range(0, last, max(1, frames - 2 * margin)), last]
        wavs = samples.unfold(0, size, hop)
        batches = [firsts[begin : begin + batch] for begin in range(0, len(firsts), batch)]
        parts = list(each(lambda firsts: self.hear(wavs[firsts]), batches))

        def joined(pieces: Iterable[Tensor]) -> Tensor:
            items = [item for piece in pieces for item in piece]
            whole = items[0].new_empty(1, last + frames, items[0].size(1))
            for first, item in zip(firsts, items, strict=True):
                skipped = margin if first else 0
                whole[0, first + skipped : first + frames] = item[skipped:]
            return whole

        states = {
            layer: joined(part.states[layer] for part in parts) for layer in self.embedder.layers
        }
        return Heard(joined(part.features for part in parts), states)

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
