"""Pre-training on voices: an SSL encoder learns to tell single speakers apart."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch import Tensor, nn

from espnet_prune.ssl import SSLEncoder


class ESPnetVoiceModel(AbsESPnetModel):
    """Mean and deviation of the last hidden state over time, then a linear classifier.

    Args:
        encoder: learns.
        num_voices: voices to tell apart.
    """

    def __init__(self, encoder: SSLEncoder, num_voices: int):
        super().__init__()
        self.encoder = encoder
        self.classifier = nn.Linear(2 * encoder.config.embed_dim, num_voices)

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, voice: Tensor, **_: Any
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, statistics and weight of single-speaker windows ``(B, T)``.

        Args:
            speech: windows ``(B, T)``, of one length, as voices are recorded without pauses.
            speech_lengths: samples ``(B,)``.
            voice: index of each window's voice, ``(B, 1)``.
        """
        state = self.encoder(speech, speech_lengths).hidden_states[-1]
        pooled = torch.cat([state.mean(dim=1), state.std(dim=1)], dim=-1)
        scores = self.classifier(pooled)
        target = voice.squeeze(1).long()
        loss = F.cross_entropy(scores, target)
        accuracy = (scores.argmax(dim=-1) == target).to(loss.dtype).mean()
        stats = {"loss": loss.detach(), "acc": accuracy}
        return force_gatherable((loss, stats, loss.new_tensor(len(target))), loss.device)

    def collect_feats(self, **_: Tensor) -> dict[str, Tensor]:
        """Nothing: no statistics stage is needed."""
        return {}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """One group."""
        return [{"params": list(self.parameters())}]
