"""The local diarization model: who speaks when within one window."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from os import PathLike
from pathlib import Path

from torch import Tensor, nn

from espnet_prune.diarization.diarizen import read_released
from espnet_prune.diarization.head import DiarizationConfig, PowersetHead
from espnet_prune.diarization.powerset import Powerset
from espnet_prune.encoder import ConfigError, Featurizer, SSLConfig, SSLEncoder
from espnet_prune.encoder.typed import read_typed
from espnet_prune.formats.diarizen import CONFIG
from espnet_prune.formats.sources import find_source
from espnet_prune.history import HISTORY, read_history
from espnet_prune.storage.checkpoint import (
    kept_history,
    load_folder,
    load_strictly,
    save_folder,
    without_memory,
)
from espnet_prune.storage.hub import push_folder
from espnet_prune.storage.sniffing import PYTORCH, require_kind

_KIND = "diarization_model"


class DiarizationModel(nn.Module):
    """SSL encoder, weighted layer sum, head and powerset (Han et al., 2025)."""

    def __init__(self, featurizer: Featurizer, config: DiarizationConfig):
        super().__init__()
        self.config = config
        self.featurizer = featurizer
        self.powerset = Powerset(config.max_speakers, config.max_simultaneous)
        self.head = PowersetHead(self.featurizer.output_dim, self.powerset.num_classes, config.head)
        self.origin: Path | None = None  # the folder or file that it was read from

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
        config |= kept_history(self.encoder)
        save_folder(folder, _KIND, config, self.state_dict())

    def push_to_hub(
        self,
        repo_id: str,
        private: bool = False,
        revision: str | None = None,
        token: str | None = None,
    ) -> str:
        """As :func:`espnet_prune.storage.hub.push_folder`, of the whole model."""
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return push_folder(folder, repo_id, private, revision, token)

    @classmethod
    def from_pretrained(cls, source: str | PathLike[str]) -> DiarizationModel:
        """Load a model, strictly, in eval mode.

        The source is a folder that :meth:`save_pretrained` wrote, a model that DiariZen's authors
        released (its folder, or the ``pytorch_model.bin`` in it), or the id of either on Hugging
        Face (``owner/name``, with or without ``@revision``).

        Raises:
            CheckpointError: the source is missing, damaged, or of another kind of model.
            ConfigError: its config describes none.
        """
        folder = find_source(source)
        if folder.is_file() or (folder / CONFIG).is_file():
            if folder.is_file():
                require_kind(folder, PYTORCH)
            featurizer, config, head = read_released(folder)
            model = cls(featurizer, config)
            load_strictly(model, {**model.state_dict(), **head}, folder)
            model.origin = folder
            return model.eval()
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
        model.encoder.history = read_history(values.get(HISTORY, ()), folder / "config.json")
        model.origin = folder
        return model.eval()
