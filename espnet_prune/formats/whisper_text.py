"""Text from a Whisper encoder of ours, by the unchanged decoder of transformers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from espnet_prune.encoder.config import ConfigError
from espnet_prune.encoder.model import SSLEncoder


def under_decoder(encoder: SSLEncoder, model: Any) -> Any:
    """Let a ``WhisperForConditionalGeneration`` hear through ``encoder``, and return that model.

    The encoder, dense or pruned, or its inference form, hears what the decoder knows: 30 s of
    features, the silence included, whatever its own mode is. The model's own is let go.

    Raises:
        ConfigError: the encoder is no Whisper, or not of the model's width and mel bands.
    """
    theirs = model.config
    expected = {"family": "whisper", "embed_dim": theirs.d_model, "mel_bands": theirs.num_mel_bins}
    for name, value in expected.items():
        if (found := getattr(encoder.config, name)) != value:
            raise ConfigError(
                f"expected an encoder of {name} {value}, which this decoder listens to, found "
                f"{found}; take the model that the encoder was made from"
            )
    model.model.encoder = TransformersEncoder(encoder)
    return model


class TransformersEncoder(nn.Module):
    """An encoder with the signature of transformers' ``WhisperEncoder``."""

    # By their strides transformers counts frames.
    conv1, conv2 = SimpleNamespace(stride=(1,)), SimpleNamespace(stride=(2,))

    def __init__(self, encoder: SSLEncoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_features: Tensor, attention_mask: object = None, **others: Any) -> Any:
        """Features ``(B, bands, M)`` to a ``BaseModelOutput`` of frames ``(B, M / 2, D)``.

        Like the original, it attends to all of the features; of its hidden states it gives the
        last alone.
        """
        from transformers.modeling_outputs import BaseModelOutput

        features = input_features.transpose(1, 2)
        front_end: Any = self.encoder.front_end
        frames, _ = front_end.convolve(features, None, (None,))
        *_, last = self.encoder.transform(frames)
        return BaseModelOutput(last_hidden_state=last.to(input_features.dtype))
