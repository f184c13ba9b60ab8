"""Pre-training on voices: an SSL encoder learns to tell single speakers apart."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
import torchaudio
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch import Tensor, nn

from espnet_prune.ssl import SSLEncoder


class ESPnetVoiceModel(AbsESPnetModel):
    """Mean and deviation of the last hidden state over time, then a linear classifier.

    The front end also predicts the log-mel spectrogram of its frames: with the classes alone the
    convolutions are slow to start, as each window gives them a single label.

    Args:
        encoder: learns; its frames are 25 ms long and 20 ms apart.
        num_voices: voices to tell apart.
    """

    num_mels = 40

    def __init__(self, encoder: SSLEncoder, num_voices: int):
        super().__init__()
        self.encoder = encoder
        dim = encoder.config.embed_dim
        self.classifier = nn.Linear(2 * dim, num_voices)
        self.mel_predictor = nn.Linear(dim, self.num_mels)
        self.mel_spectrogram = torchaudio.transforms.MelSpectrogram(
            n_fft=encoder.config.receptive_field,
            hop_length=encoder.config.hop,
            center=False,
            n_mels=self.num_mels,
        )

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, voice: Tensor, **_: Any
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, statistics and weight of single-speaker windows ``(B, T)``.

        Args:
            speech: windows ``(B, T)``, of one length, as voices are recorded without pauses.
            speech_lengths: samples ``(B,)``.
            voice: index of each window's voice, ``(B, 1)``.
        """
        states = self.encoder(speech, speech_lengths).hidden_states
        mel_loss = F.mse_loss(self.mel_predictor(states[0]), self._log_mel(speech))
        state = states[-1]
        pooled = torch.cat([state.mean(dim=1), state.std(dim=1)], dim=-1)
        scores = self.classifier(pooled)
        target = voice.squeeze(1).long()
        loss = F.cross_entropy(scores, target) + mel_loss
        accuracy = (scores.argmax(dim=-1) == target).to(loss.dtype).mean()
        stats = {"loss": loss.detach(), "mel_loss": mel_loss.detach(), "acc": accuracy}
        return force_gatherable((loss, stats, loss.new_tensor(len(target))), loss.device)

    def _log_mel(self, speech: Tensor) -> Tensor:
        """Log-mel spectrogram ``(B, L, 40)``, each band of zero mean and unit variance."""
        level = speech.std(dim=1, keepdim=True).clamp(min=1e-5)
        mel = torch.log(self.mel_spectrogram(speech / level) + 1e-3).transpose(1, 2)
        variance, mean = torch.var_mean(mel, dim=(0, 1))
        return (mel - mean) * torch.rsqrt(variance + 1e-3)

    def collect_feats(self, **_: Tensor) -> dict[str, Tensor]:
        """Nothing: no statistics stage is needed."""
        return {}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """One group."""
        return [{"params": list(self.parameters())}]
