"""Distillation of speaker embeddings, as ESPnet trains it."""

from __future__ import annotations

from typing import Any

import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch import Tensor
from torch.nn import functional

from espnet_prune.diarization.embedding import CAMPlusPlusEmbedder, EmbeddingHead, Stretch
from espnet_prune.espnet.teacher import Teacher, Unlearning
from espnet_prune.ssl import SSLEncoder
from espnet_prune.ssl.norm import length_mask


class ESPnetEmbeddingModel(AbsESPnetModel):
    """A head on a frozen encoder that is drawn to the embeddings of CAM++.

    Args:
        head: learns.
        encoder: stays as it is; like the teacher it is no part of the state dict.
        teacher: what it learns from.
    """

    def __init__(self, head: EmbeddingHead, encoder: SSLEncoder, teacher: CAMPlusPlusEmbedder):
        super().__init__()
        self.head = head
        self.encoder_config = encoder.config
        self.encoder = Teacher(encoder)
        self.teacher = Unlearning(teacher)

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, **_: Any
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, statistics and weight of utterances ``(B, T)``, samples ``(B,)``.

        Each is of one speaker. The loss is one less the mean cosine similarity to the teacher.
        """
        lengths = speech_lengths.tolist()
        frames = [self.encoder_config.num_frames(length) for length in lengths]
        states = self.encoder(speech, speech_lengths)
        inside = length_mask(speech_lengths.new_tensor(frames), states[0].size(1))
        ours = self.head(dict(enumerate(states)), inside[:, :, None].to(speech.dtype))[:, 0]
        theirs = torch.stack([self._taught(w[:n]) for w, n in zip(speech, lengths, strict=True)])
        loss = 1 - functional.cosine_similarity(ours, theirs).mean()
        weight = loss.new_tensor(len(lengths))
        return force_gatherable((loss, {"loss": loss.detach()}, weight), loss.device)

    def _taught(self, samples: Tensor) -> Tensor:
        """The teacher's embedding ``(E,)`` of samples ``(T,)``."""
        stretch = Stretch(samples, (0,), len(samples))
        return self.teacher(stretch, {}, samples.new_ones(1, 1, 1))[0, 0]

    def collect_feats(self, **_: Tensor) -> dict[str, Tensor]:
        """Nothing: no statistics stage is needed."""
        return {}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """One group."""
        return [{"params": list(self.head.parameters())}]
