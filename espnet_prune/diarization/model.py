"""The local diarization model: who speaks when within one window."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from os import PathLike
from typing import Any

from torch import Tensor, nn

from espnet_prune.diarization.head import HeadConfig, PowersetHead
from espnet_prune.diarization.powerset import Powerset
from espnet_prune.ssl import ConfigError, Featurizer, SSLConfig, SSLEncoder
from espnet_prune.ssl.checkpoint import (
    load_folder,
    load_strictly,
    save_folder,
    without_memory,
)
from espnet_prune.ssl.hub import push_folder
from espnet_prune.ssl.importers.diarizen import CONFIG
from espnet_prune.ssl.importers.sources import find_source
from espnet_prune.ssl.sniffing import PYTORCH, require_kind
from espnet_prune.ssl.typed import read_typed, settle_types

_KIND = "diarization_model"
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


class DiarizationModel(nn.Module):
    """SSL encoder, weighted layer sum, head and powerset (Han et al., 2025)."""

    def __init__(self, featurizer: Featurizer, config: DiarizationConfig):
        super().__init__()
        self.config = config
        self.featurizer = featurizer
        self.powerset = Powerset(config.max_speakers, config.max_simultaneous)
        self.head = PowersetHead(self.featurizer.output_dim, self.powerset.num_classes, config.head)

    @property
    def encoder(self) -> SSLEncoder:
        """The SSL encoder."""
        return self.featurizer.encoder

    def forward(self, wavs: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Windows ``(B, T)``, samples ``(B,)`` to log-probabilities ``(B, L, K)`` and frames.

        Windows of another floating-point type, as NumPy's float64, become the model's.
        """
        if wavs.is_floating_point():
            wavs = wavs.to(self.featurizer.weights.dtype)
        features, frames = self.featurizer(wavs, lengths)
        return self.head(features, frames), frames

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write the whole model to ``folder``."""
        config = {"encoder": self.encoder.config.to_dict(), "diarization": asdict(self.config)}
        save_folder(folder, _KIND, config, self.state_dict())

    def push_to_hub(
        self,
        repo_id: str,
        private: bool = False,
        revision: str | None = None,
        token: str | None = None,
    ) -> str:
        """Upload the whole model to Hugging Face, and return its address there.

        Args and errors: see :func:`espnet_prune.ssl.hub.push_folder`.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return push_folder(folder, repo_id, private, revision, token)

    @classmethod
    def from_pretrained(cls, source: str | PathLike[str]) -> DiarizationModel:
        """Load a model, strictly, in eval mode.

        Args:
            source: a folder that :meth:`save_pretrained` wrote, a model that DiariZen's authors
                released (its folder, or the ``pytorch_model.bin`` in it), or the id of either on
                Hugging Face (``owner/name``, with or without ``@revision``).

        Raises:
            CheckpointError: the source is missing, damaged, or of another kind of model.
            ConfigError: its config describes none.
        """
        folder = find_source(source)
        if folder.is_file() or (folder / CONFIG).is_file():
            from espnet_prune.diarization.diarizen import import_diarization_model

            if folder.is_file():
                require_kind(folder, PYTORCH)
            return import_diarization_model(folder)
        values, state = load_folder(folder, _KIND)
        try:
            encoder = SSLConfig.from_dict(values.get("encoder", {}))
            config = read_typed(DiarizationConfig, values.get("diarization"), "diarization")
        except ConfigError as error:
            raise ConfigError(f"{folder / 'config.json'}: {error}") from error
        # The weights are compared with the config before there is memory of its size.
        with without_memory():
            model = cls(Featurizer(SSLEncoder(encoder)), config)
        model.powerset = Powerset(config.max_speakers, config.max_simultaneous)
        load_strictly(model, state, folder, assign=True)
        return model.eval()
