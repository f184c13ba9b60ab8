"""ESPnet task: distil speaker embeddings into a small head on an encoder's hidden states."""

from __future__ import annotations

import argparse

from espnet2.utils.nested_dict_action import NestedDictAction

from espnet_prune.diarization.embedding import CAMPlusPlusEmbedder, EmbeddingHead
from espnet_prune.espnet.embedding_model import ESPnetEmbeddingModel
from espnet_prune.espnet.window_task import WindowTask, add_crop_option
from espnet_prune.ssl import SSLEncoder


class EmbeddingTask(WindowTask):
    """A head learns from CAM++ what the speakers of single utterances sound like."""

    class_choices_list = ()

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """``--model``, ``--teacher``, ``--crop`` and ``--head_conf``."""
        group = parser.add_argument_group(description="Embedding head")
        group.add_argument(
            "--model", required=True, help="Diarization model or encoder whose states it pools"
        )
        group.add_argument(
            "--teacher",
            default="",
            help="campplus_cn_en_common.pt or our folder of it; default: where embedding: campplus "
            "finds it",
        )
        add_crop_option(group)
        group.add_argument(
            "--head_conf",
            action=NestedDictAction,
            default={},
            help="Keyword arguments of EmbeddingHeadConfig: hidden",
        )

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """Audio alone."""
        return ("speech",)

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ESPnetEmbeddingModel:
        """A new head, its encoder and its teacher."""
        encoder = SSLEncoder.from_pretrained(args.model)
        head = EmbeddingHead.for_encoder(encoder.config, args.head_conf)
        return ESPnetEmbeddingModel(
            head, encoder, CAMPlusPlusEmbedder.from_pretrained(args.teacher)
        )
