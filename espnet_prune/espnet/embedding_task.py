"""ESPnet task: distil speaker embeddings into a small head on an encoder's hidden states."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from espnet2.utils.nested_dict_action import NestedDictAction

from espnet_prune.data.tables import read_table
from espnet_prune.diarization.embedding.head import EmbeddingHead
from espnet_prune.encoder import SSLEncoder
from espnet_prune.espnet.embedding_model import UNKNOWN, ESPnetEmbeddingModel
from espnet_prune.espnet.window_task import WindowTask


class EmbeddingTask(WindowTask):
    """A head learns from a larger network what the speakers of single utterances sound like."""

    class_choices_list = ()

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """``--model``, ``--speakers``, ``--speaker_weight`` and ``--head_conf``."""
        group = parser.add_argument_group(description="Embedding head")
        group.add_argument(
            "--model", required=True, help="Diarization model or encoder whose states it pools"
        )
        group.add_argument(
            "--speakers", required=True, help="spk2utt of the training set: whom to tell apart"
        )
        group.add_argument(
            "--speaker_weight", type=float, default=0.2, help="Of the loss that tells them apart"
        )
        group.add_argument(
            "--head_conf",
            action=NestedDictAction,
            default={},
            help="Keyword arguments of EmbeddingHeadConfig: hidden, size",
        )

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """Audio, its speaker's name, and what embed_utterances made of it."""
        return ("speech", "speaker", "embedding")

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool) -> Callable[..., Any]:
        """Speakers become indices; those of no training utterance are unknown."""
        return SpeakerIndices(_speakers(args))

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ESPnetEmbeddingModel:
        """A new head and its encoder."""
        encoder = SSLEncoder.from_pretrained(args.model)
        head = EmbeddingHead.for_encoder(encoder.config, args.head_conf)
        return ESPnetEmbeddingModel(head, encoder, len(_speakers(args)), args.speaker_weight)


class SpeakerIndices:
    """Turns the names of speakers into their places in a list.

    Args:
        speakers: the list.
    """

    def __init__(self, speakers: Sequence[str]):
        self.places = {name: place for place, name in enumerate(speakers)}

    def __call__(self, uid: str, data: dict[str, Any]) -> dict[str, np.ndarray]:
        """``data`` of an utterance with its ``speaker`` ``(1,)``."""
        return {**data, "speaker": np.array([self.places.get(data["speaker"], UNKNOWN)])}


def _speakers(args: argparse.Namespace) -> list[str]:
    """Their names, which take the file's place in ``args``, and so in ESPnet's config.yaml."""
    if isinstance(args.speakers, str):
        args.speakers = read_table(Path(args.speakers), lambda fields: fields[0])
    return args.speakers
