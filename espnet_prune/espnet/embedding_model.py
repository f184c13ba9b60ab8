"""Distillation of speaker embeddings, as ESPnet trains it."""

from __future__ import annotations

from typing import Any

import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch import Tensor, nn
from torch.nn import functional

from espnet_prune.data.audio import SAMPLE_RATE
from espnet_prune.diarization.embedding.head import EmbeddingHead
from espnet_prune.encoder import SSLEncoder
from espnet_prune.encoder.norm import length_mask
from espnet_prune.espnet.teacher import Teacher

UNKNOWN = -1
"""The index of speakers who are not among those that are told apart."""
_MARGIN, _SCALE = 0.2, 30.0
# The stretches that are pooled in training: how many of an utterance, and their range in seconds.
_STRETCHES, _SHORTEST, _LONGEST = 4, 1.0, 3.0


class ESPnetEmbeddingModel(AbsESPnetModel):
    """A head on a frozen encoder: drawn to another network's embeddings, it tells speakers apart.

    An utterance passes the encoder as a whole, and in training some stretches of it are pooled,
    each by itself: what is pooled lies anywhere, as in a window, and Whisper's states tell where.

    Args:
        head: learns.
        encoder: stays as it is, and is no part of the state dict.
        num_speakers: of the training set.
        speaker_weight: of the loss that tells them apart.
    """

    def __init__(
        self,
        head: EmbeddingHead,
        encoder: SSLEncoder,
        num_speakers: int,
        speaker_weight: float,
    ):
        super().__init__()
        self.head = head
        self.speakers = nn.Linear(head.config.size, num_speakers, bias=False)
        self.speaker_weight = speaker_weight
        self.encoder_config = encoder.config
        self.encoder = Teacher(encoder)

    def forward(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        speaker: Tensor,
        embedding: Tensor,
        **_: Any,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, statistics and weight of utterances of one speaker each.

        Args:
            speech: ``(B, T)``.
            speech_lengths: samples ``(B,)``.
            speaker: ``(B, 1)`` index of the speaker, or :data:`UNKNOWN`.
            embedding: ``(B, E)`` of the whole utterance, by the other network.

        Raises:
            ValueError: embeddings of another size than the head's.
        """
        if embedding.size(1) != self.head.config.size:
            raise ValueError(
                f"expected embeddings of {self.head.config.size} values, found "
                f"{embedding.size(1)}; set head_conf: size"
            )
        frames = [self.encoder_config.num_frames(length) for length in speech_lengths.tolist()]
        states = self.encoder(speech, speech_lengths)
        pooled = self._stretches(speech_lengths.new_tensor(frames), states[0].size(1))
        ours = self.head(dict(enumerate(states)), pooled.to(speech.dtype))
        distance = 1 - functional.cosine_similarity(ours, embedding[:, None], dim=-1).mean()
        speakers = speaker.expand(-1, ours.size(1)).flatten().long()
        loss = distance + self.speaker_weight * self._speaker_loss(ours.flatten(0, 1), speakers)
        stats = {"loss": loss.detach(), "distance": distance.detach()}
        return force_gatherable((loss, stats, loss.new_tensor(len(ours))), loss.device)

    def _stretches(self, frames: Tensor, size: int) -> Tensor:
        """Which of the first ``frames`` ``(B,)`` of ``size`` are pooled: ``(B, size, S)``.

        In evaluation all of them, S = 1.
        """
        inside = length_mask(frames, size)[:, :, None]
        if not self.training:
            return inside
        seconds = torch.empty(len(frames), _STRETCHES).uniform_(_SHORTEST, _LONGEST)
        length = (seconds.to(frames.device) * SAMPLE_RATE / self.encoder_config.hop).long()
        room = (frames[:, None] - length).clamp(min=0)
        first = (torch.rand(length.shape).to(frames.device) * (room + 1)).long()
        place = torch.arange(size, device=frames.device)[None, :, None]
        return inside & (first[:, None] <= place) & (place < (first + length)[:, None])

    def _speaker_loss(self, embeddings: Tensor, speakers: Tensor) -> Tensor:
        """Softmax with an additive margin (Wang et al., 2018) on ``(B, E)``, ``(B,)``.

        Zero where no speaker is known.
        """
        known = speakers != UNKNOWN
        chosen = functional.normalize(embeddings[known], dim=1)
        cosines = functional.linear(chosen, functional.normalize(self.speakers.weight, dim=1))
        targets = speakers[known]
        scores = _SCALE * (cosines - _MARGIN * functional.one_hot(targets, cosines.size(1)))
        return functional.cross_entropy(scores, targets, reduction="sum") / len(known)

    def collect_feats(self, **_: Tensor) -> dict[str, Tensor]:
        """Nothing: no statistics stage is needed."""
        return {}
