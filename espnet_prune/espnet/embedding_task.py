"""ESPnet task: distil speaker embeddings into a small head on an encoder's hidden states."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.utils.nested_dict_action import NestedDictAction
from torch import Tensor, nn
from torch.nn import functional

from espnet_prune.data.audio import SAMPLE_RATE
from espnet_prune.data.tables import read_table
from espnet_prune.diarization.embedding.head import EmbeddingHead
from espnet_prune.encoder import SSLEncoder
from espnet_prune.encoder.norm import length_mask
from espnet_prune.espnet.guarded_task import WindowModel, WindowTask
from espnet_prune.espnet.teacher import Teacher

UNKNOWN = -1
"""The index of speakers who are not among those that are told apart."""
_MARGIN, _SCALE = 0.2, 30.0
# The stretches that are pooled in training: how many of an utterance, and their range in seconds.
_STRETCHES, _SHORTEST, _LONGEST = 4, 1.0, 3.0


class ESPnetEmbeddingModel(WindowModel):
    """A head on a frozen encoder: drawn to another network's embeddings, it tells speakers apart.

    An utterance passes the encoder as a whole, and in training some stretches of it are pooled,
    each by itself: what is pooled lies anywhere, as in a window, and Whisper's states tell where.
    ``speaker_weight`` is that of the loss that tells ``num_speakers`` apart.
    """

    def __init__(
        self, head: EmbeddingHead, encoder: SSLEncoder, num_speakers: int, speaker_weight: float
    ):
        super().__init__()
        self.head = head
        self.speakers = nn.Linear(head.config.size, num_speakers, bias=False)
        self.speaker_weight = speaker_weight
        self.encoder_config = encoder.config
        self.encoder = Teacher(encoder)

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, speaker: Tensor, embedding: Tensor, **_: Any
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, statistics and weight of utterances of one speaker each.

        Args:
            speech, speech_lengths: ``(B, T)``, samples ``(B,)``.
            speaker: ``(B, 1)`` index of the speaker, or :data:`UNKNOWN`.
            embedding: ``(B, E)`` of the whole utterance, by the other network.
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


class EmbeddingTask(WindowTask):
    """A head learns from a larger network what the speakers of single utterances sound like."""

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """``--model``, ``--speakers``, ``--speaker_weight`` and ``--head_conf``."""
        group = parser.add_argument_group(description="Embedding head")
        group.add_argument("--model", help="Diarization model or encoder whose states it pools")
        group.add_argument("--speakers", help="spk2utt of the training set: whom to tell apart")
        group.add_argument(
            "--speaker_weight", type=float, default=0.2, help="Of the loss that tells them apart"
        )
        group.add_argument(
            "--head_conf",
            action=NestedDictAction,
            default={},
            help="Keyword arguments of EmbeddingHeadConfig: hidden, size",
        )
        # Not argparse's own way: ESPnet reads defaults from an empty command line.
        required = parser.get_default("required")
        parser.set_defaults(required=[*required, "model", "speakers"])

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """Audio, its speaker's name, and what embed_utterances made of it."""
        return ("speech", "speaker", "embedding")

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool) -> Callable[..., Any]:
        """Speakers become indices; those of no training utterance are unknown."""
        return _SpeakerIndices(_speakers(args))

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ESPnetEmbeddingModel:
        """A new head and its encoder."""
        encoder = SSLEncoder.from_pretrained(args.model)
        head = EmbeddingHead.for_encoder(encoder.config, args.head_conf)
        return ESPnetEmbeddingModel(head, encoder, len(_speakers(args)), args.speaker_weight)


class _SpeakerIndices:
    """Turns the names of speakers into their places in a list."""

    def __init__(self, speakers: Sequence[str]):
        self.places = {name: place for place, name in enumerate(speakers)}

    def __call__(self, uid: str, data: dict[str, Any]) -> dict[str, np.ndarray]:
        return {**data, "speaker": np.array([self.places.get(data["speaker"], UNKNOWN)])}


def _speakers(args: argparse.Namespace) -> list[str]:
    """Their names, which take the file's place in ``args``, and so in ESPnet's config.yaml."""
    if isinstance(args.speakers, str):
        args.speakers = read_table(Path(args.speakers), lambda fields: fields[0])
    return args.speakers
