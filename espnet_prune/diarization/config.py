"""What turns an encoder into a diarization model, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from espnet_prune.diarization.head import HeadConfig
from espnet_prune.encoder import ConfigError
from espnet_prune.encoder.typed import read_typed, settle_types

_MAX_SPEAKERS, _LONGEST = 8, 3600


@dataclass(frozen=True)
class DiarizationConfig:
    """What turns an encoder into a diarization model.

    Attributes:
        head: shape of the head.
        max_speakers: speakers told apart within one window, S.
        max_simultaneous: speakers active in one frame at most.
        window_size: seconds of audio that the model was trained on.
    """

    head: HeadConfig = field(default_factory=HeadConfig)
    max_speakers: int = 4
    max_simultaneous: int = 2
    window_size: float = 8.0

    def __post_init__(self) -> None:
        settle_types(self)
        # The loss tries every order of the speakers, and the classes grow with their sets.
        if not 1 <= self.max_simultaneous <= self.max_speakers <= _MAX_SPEAKERS:
            raise ConfigError(
                f"expected 1 <= max_simultaneous <= max_speakers <= {_MAX_SPEAKERS}, found "
                f"{self.max_simultaneous!r} and {self.max_speakers!r}"
            )
        if not 0 < self.window_size <= _LONGEST:
            raise ConfigError(
                f"expected a window_size above zero, {_LONGEST} s at most, found "
                f"{self.window_size!r}"
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DiarizationConfig:
        """Read keyword arguments as they stand in YAML or JSON.

        Raises:
            ConfigError: an unknown key, or a value of another type or out of its range.
        """
        return read_typed(cls, values, "diarization configuration")
