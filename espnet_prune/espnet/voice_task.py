"""ESPnet task: pre-train a small SSL encoder by telling voices apart."""

from __future__ import annotations

import argparse

from espnet_prune.espnet.voice_model import ESPnetVoiceModel
from espnet_prune.espnet.window_task import WindowTask
from espnet_prune.ssl import PRESETS, SSLEncoder


class VoiceTask(WindowTask):
    """Classification of short single-speaker windows; the encoder is what one keeps."""

    class_choices_list = ()

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """``--preset`` and ``--num_voices``."""
        group = parser.add_argument_group(description="Voice classification")
        group.add_argument(
            "--preset", choices=PRESETS, default="wavlm_mini", help="Encoder to train from scratch"
        )
        group.add_argument("--num_voices", type=int, default=None, help="Voices to tell apart")

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """Audio and the voice's index."""
        return ("speech", "voice")

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ESPnetVoiceModel:
        """An encoder with random weights, and its classifier."""
        return ESPnetVoiceModel(SSLEncoder(PRESETS[args.preset]()), args.num_voices)
