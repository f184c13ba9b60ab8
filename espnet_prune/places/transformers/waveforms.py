"""What gives waveforms to a model where transformers' pipelines expect a tokenizer."""

from __future__ import annotations

from typing import Any

from transformers import Wav2Vec2FeatureExtractor

from espnet_prune.encoder.log_mel import SAMPLE_RATE


class WaveformReader(Wav2Vec2FeatureExtractor):
    """What stands where ``pipeline("feature-extraction")`` looks for a tokenizer."""

    def __call__(self, raw_speech: Any, **options: Any) -> Any:  # type: ignore[override]
        """The model's arguments of a waveform ``(T,)`` of 16 kHz."""
        return super().__call__(raw_speech, **{"sampling_rate": SAMPLE_RATE, **options})
