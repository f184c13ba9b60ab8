"""``frontend: pruned_ssl``: a dense or pruned encoder as the front end of any ESPnet task."""

from __future__ import annotations

from espnet2.asr.frontend.abs_frontend import AbsFrontend
from torch import Tensor

from espnet_prune.espnet.objective import EncoderObjective
from espnet_prune.ssl import Featurizer, SSLEncoder


class PrunedSSLFrontend(AbsFrontend):
    """Weighted sum of an SSL encoder's layers.

    Args:
        model: see :meth:`~espnet_prune.SSLEncoder.from_pretrained`: a folder, a file, a URL or a
            Hugging Face id.
        fs: sampling rate in Hz, which ESPnet's recipes pass on; must be 16 kHz.
        freeze: keep the encoder as it is, in evaluation mode; only the layer weights learn.

    Attributes:
        objective: what a training that prunes or distils puts between features and encoder.

    Raises:
        ValueError: another sampling rate.
        CheckpointError: no encoder in ``model``.
    """

    def __init__(self, model: str, fs: int | str = 16000, freeze: bool = False):
        super().__init__()
        if str(fs) not in ("16000", "16k"):
            raise ValueError(f"expected fs 16000 (SSL encoders hear 16 kHz only), found {fs}")
        encoder = SSLEncoder.from_pretrained(model)
        self.featurizer = Featurizer(encoder, freeze)
        self.hop_length = encoder.config.hop
        self.objective: EncoderObjective | None = None

    @property
    def ssl_encoder(self) -> SSLEncoder:
        """The encoder whose layers are summed."""
        return self.featurizer.encoder

    def output_size(self) -> int:
        """Width D of the features."""
        return self.featurizer.output_dim

    def forward(self, inputs: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms ``(B, T)``, samples ``(B,)`` to features ``(B, L, D)`` and frames ``(B,)``."""
        if self.objective is None:
            return self.featurizer(inputs, input_lengths)
        output = self.objective(self.ssl_encoder, inputs, input_lengths)
        return self.featurizer.mix(output.hidden_states), output.lengths
