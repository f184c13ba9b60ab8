"""The powerset diarization model as ESPnet trains it."""

from __future__ import annotations

from typing import Any

from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch import Tensor

from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import Featurizer
from espnet_prune.espnet.objective import EncoderObjective
from espnet_prune.espnet.statistics import per_frame


class ESPnetPowersetModel(AbsESPnetModel):
    """Permutation-free powerset cross entropy (Plaquet and Bredin, 2023).

    Args:
        model: the diarization model.

    Attributes:
        objective: what a training that prunes or distils runs the encoder through.
    """

    def __init__(self, model: DiarizationModel):
        super().__init__()
        self.model = model
        self.objective: EncoderObjective | None = None

    @property
    def featurizer(self) -> Featurizer:
        """The encoder and its weighted layers."""
        return self.model.featurizer

    def forward(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        spk_labels: Tensor,
        spk_labels_lengths: Tensor | None = None,
        **_: Any,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, statistics and weight of a batch.

        Args:
            speech: windows ``(B, T)``.
            speech_lengths: samples ``(B,)``.
            spk_labels: who is active, ``(B, L, S)``.
            spk_labels_lengths: frames that each item has labels of, ``(B,)``.

        Raises:
            ValueError: labels on another grid of frames than the encoder's.
        """
        log_probs, frames = self.model(speech, speech_lengths)
        if spk_labels_lengths is not None and not frames.equal(spk_labels_lengths.to(frames)):
            grid = FrameGrid.of(self.model.encoder.config)
            raise ValueError(
                f"expected labels of {frames.tolist()} frames, found {spk_labels_lengths.tolist()};"
                f" give the labels as window_labels_{self.model.config.max_speakers}_{grid.name}"
            )
        powerset = self.model.powerset
        labels = spk_labels[:, : log_probs.size(1)]
        loss = powerset.permutation_free_loss(log_probs, labels, frames)[0]
        errors = powerset.frame_errors(powerset.to_multilabel(log_probs), labels, frames)
        # The loss is a mean over frames: their number makes its mean over processes exact.
        weight = frames.sum().to(loss.dtype)
        stats = {"loss": loss.detach(), **per_frame(errors, weight)}
        return force_gatherable((loss, stats, weight), loss.device)

    def collect_feats(self, **_: Tensor) -> dict[str, Tensor]:
        """Nothing: no statistics stage is needed."""
        return {}
