"""``frontend: pruned_ssl``: a dense or pruned encoder as the front end of any ESPnet task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from espnet2.asr.frontend.abs_frontend import AbsFrontend
from torch import Tensor

from espnet_prune.encoder import ConfigError, Featurizer, SSLConfig, SSLEncoder
from espnet_prune.encoder.front_end import pad_to_one_frame
from espnet_prune.espnet.objective import EncoderObjective
from espnet_prune.storage import CheckpointError

NAME = "pruned_ssl"


class PrunedSSLFrontend(AbsFrontend):
    """Weighted sum of an SSL encoder's layers.

    Args:
        model: see :meth:`~espnet_prune.SSLEncoder.from_pretrained`.
        config: shape of the encoder, as :meth:`~espnet_prune.SSLConfig.to_dict` gives it, in the
            place of ``model`` where the weights come with those of the whole ESPnet model.
        fs: sampling rate in Hz, which ESPnet's recipes pass on; must be 16 kHz.
        freeze: keep the encoder as it is, in evaluation mode; only the layer weights learn.
        hop_length, win_length: samples from frame to frame and of one frame, which ESPnet's
            recipes pass on and its streaming reads; must be the encoder's own.

    Attributes:
        objective: what a training that prunes or distils runs the encoder through.

    Raises:
        ConfigError: another sampling rate, hop or length of a frame; ``model`` and ``config``.
    """

    def __init__(
        self,
        model: str | None = None,
        fs: int | str = 16000,
        freeze: bool = False,
        hop_length: int | None = None,
        win_length: int | None = None,
        config: dict[str, Any] | None = None,
    ):
        super().__init__()
        if str(fs) not in ("16000", "16k"):
            raise ConfigError(f"expected fs 16000 (SSL encoders hear 16 kHz only), found {fs}")
        if (model is None) == (config is None):
            raise ConfigError(
                "expected frontend_conf: model (or config, with the weights in the ESPnet model's "
                f"own file), found {'none' if model is None else 'both'}; set one"
            )
        if model is None:
            encoder = SSLEncoder(SSLConfig.from_dict(config or {}))
        else:
            encoder = SSLEncoder.from_pretrained(model)
        self.hop_length = encoder.config.hop
        for name, value, own in (
            ("hop_length", hop_length, self.hop_length),
            ("win_length", win_length, encoder.config.receptive_field),
        ):
            if value not in (None, own):
                raise ConfigError(
                    f"expected {name} {own}, which is that of the encoder, found {value}; set it "
                    "so or leave it out"
                )
        self.model = model
        self.featurizer = Featurizer(encoder, freeze)
        self.objective: EncoderObjective | None = None
        self.train()  # ESPnet3 trains in the mode that a model is built in

    @property
    def ssl_encoder(self) -> SSLEncoder:
        """The encoder whose layers are summed."""
        return self.featurizer.encoder

    def output_size(self) -> int:
        """Width D of the features."""
        return self.featurizer.output_dim

    def forward(self, inputs: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms ``(B, T)``, samples ``(B,)`` to features ``(B, L, D)`` and frames ``(B,)``.

        What is shorter than a frame is zero-padded to one.
        """
        wavs, lengths = pad_to_one_frame(inputs, input_lengths, self.ssl_encoder.config)
        return self.featurizer(wavs, lengths)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        # ESPnet's own commands load without strictness, and would run the encoder without gates.
        gates = f"{prefix}objective.pruner."
        if self.objective is None and any(name.startswith(gates) for name in state_dict):
            raise CheckpointError(
                "expected a model without gates, found one that a training with pruning_conf "
                "wrote; cut it first: espnet-prune apply_pruning MODEL_FILE --output FOLDER"
            )
        super()._load_from_state_dict(state_dict, prefix, *args)
