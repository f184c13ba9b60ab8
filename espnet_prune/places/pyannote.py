"""Diarizers in pyannote.audio: its model of windows, and its pipeline over recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from pyannote.audio import Model, Pipeline
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.pipelines.speaker_diarization import DiarizeOutput
from pyannote.audio.pipelines.utils import get_model
from torch import Tensor

from espnet_prune.data.audio import AudioStream, as_source
from espnet_prune.diarization.head import DiarizationConfig
from espnet_prune.diarization.inference_config import InferenceConfig, with_companions
from espnet_prune.diarization.local import telling
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.pipeline import Diarizer, find_pipeline
from espnet_prune.encoder import Featurizer, SSLConfig, SSLEncoder
from espnet_prune.encoder.typed import read_typed


class Segmentation(Model):
    """A :class:`.DiarizationModel` as pyannote.audio's model of who speaks within a window.

    ``encoder`` and ``diarization`` are the values of its two configs.

    Raises:
        ConfigError: they describe no model.
    """

    def __init__(
        self,
        encoder: Mapping[str, Any],
        diarization: Mapping[str, Any],
        sample_rate: int = 16000,
        num_channels: int = 1,
        task: Any = None,
    ):
        super().__init__(sample_rate, num_channels, task)
        self.save_hyperparameters("encoder", "diarization")
        config = read_typed(DiarizationConfig, diarization, "diarization")
        shape = SSLConfig.from_dict(encoder)
        self.model = DiarizationModel(Featurizer(SSLEncoder(shape)), config)
        self.specifications = Specifications(
            problem=Problem.MONO_LABEL_CLASSIFICATION,
            resolution=Resolution.FRAME,
            duration=config.window_size,
            classes=[f"speaker#{index + 1}" for index in range(config.max_speakers)],
            powerset_max_classes=config.max_simultaneous,
            permutation_invariant=True,
        )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Nothing: the specifications follow from the configs."""

    @property
    def dimension(self) -> int:
        """Classes K of the powerset."""
        return self.model.powerset.num_classes

    def forward(self, waveforms: Tensor, **_: Any) -> Tensor:
        """Windows ``(B, 1, T)`` to log-probabilities ``(B, L, K)``."""
        return self.model(waveforms[:, 0])[0]

    def num_frames(self, num_samples: int) -> int:
        """Frames L of a window of so many samples."""
        return self.model.encoder.config.num_frames(num_samples)

    def receptive_field_size(self, num_frames: int = 1) -> int:
        """Samples that so many frames see."""
        config = self.model.encoder.config
        return config.receptive_field + (num_frames - 1) * config.hop

    def receptive_field_center(self, frame: int = 0) -> float:
        """The sample that is the centre of a frame; the first sample is 0."""
        config = self.model.encoder.config
        return config.first_centre - 0.5 + frame * config.hop


class SpeakerDiarization(Pipeline):
    """A :class:`.Diarizer` as pyannote.audio's pipeline, in folders that ``export`` writes.

    Args:
        segmentation: what pyannote.audio loads a :class:`Segmentation` from.
        folder: where an embedding head and a PLDA may lie, as pyannote.audio tells.
        inference: keyword arguments of :class:`.InferenceConfig`.
        token: for the Hugging Face hub.
        cache_dir: of the Hugging Face hub.

    Raises:
        ConfigError: options that there are not.
    """

    def __init__(
        self,
        segmentation: Any,
        folder: Mapping[str, Any],
        inference: Mapping[str, Any] | None = None,
        token: str | None = None,
        cache_dir: str | None = None,
    ):
        super().__init__()
        model: Any = get_model(segmentation, token=token, cache_dir=cache_dir)
        revision = f"@{folder['revision']}" if folder.get("revision") else ""
        beside = find_pipeline(f"{folder['checkpoint']}{revision}") / folder.get("subfolder", "")
        config = read_typed(InferenceConfig, inference or {}, "inference")
        self.segmentation = model  # which Pipeline.to moves
        self.diarizer = Diarizer(model.model, with_companions(config, beside))

    def to(self, device: torch.device) -> SpeakerDiarization:
        """Move all models; ConfigError of a device that is not there."""
        super().to(device)
        self.diarizer.to(device)
        return self

    def apply(
        self,
        file: Mapping[str, Any],
        num_speakers: int | None = None,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
        hook: Callable[..., Any] | None = None,
    ) -> DiarizeOutput:
        """The turns that our own diarizer finds, the same without overlap, and the voices.

        Args:
            file: a recording as pyannote.audio knows them; formats are those of :func:`.as_source`.
            num_speakers: of the recording, where it is known.
            min_speakers: lower bound on them.
            max_speakers: upper bound on them.
            hook: is told how many windows are done.

        Raises:
            DataError: the recording is missing, unreadable, truncated or empty.
            ConfigError: numbers of speakers that contradict each other.
        """
        hook, numbers = self.setup_hook(file, hook), (num_speakers, min_speakers, max_speakers)
        watch = telling(lambda done, total: hook("diarization", None, total=total, completed=done))
        source, diarizer = as_source(file), self.diarizer.with_speakers(*numbers)
        with AudioStream(source) as audio:
            local = diarizer.local(audio, watch)
        found = diarizer.join(local, source.name)
        config = replace(diarizer.config, exclusive=True)
        exclusive = diarizer.with_joining(config).with_speakers(*numbers)
        # Both know the same voices, and so the same names.
        alone = exclusive.with_voices(found.voices).join(local, source.name)
        labels = found.annotation.labels()
        voices = np.stack([found.voices[label] for label in labels]) if labels else np.zeros((0, 0))
        return DiarizeOutput(found.annotation, alone.annotation, voices)
