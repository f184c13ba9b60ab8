"""transformers' models of every kind, with random weights, and what they compute."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from tests.encoders import NORMS
from tests.formats.parity import Original, randomise

NAMES = {"wavlm": "WavLM", "hubert": "Hubert", "wav2vec2": "Wav2Vec2"}


def transformers_model(family: str, head: str = "Model", **changes) -> nn.Module:
    """A model of the published size, Base unless ``changes`` say otherwise, as it starts."""
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{NAMES[family]}Config")(**changes)
    torch.manual_seed(0)
    return getattr(transformers, f"{NAMES[family]}{head}")(config).eval()


def small_model(family: str, size: str = "large", head: str = "Model", **changes) -> nn.Module:
    """A model of a few thousand parameters, every one of them random."""
    conv_norm, norm_first = NORMS[size]
    values = dict(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        conv_dim=(64, 64, 64, 48),
        conv_kernel=(10, 3, 3, 2),
        conv_stride=(5, 2, 2, 2),
        conv_bias=conv_norm == "layer" and family != "wavlm",
        feat_extract_norm=conv_norm,
        do_stable_layer_norm=norm_first,
        num_conv_pos_embeddings=8 if norm_first else 7,
        num_conv_pos_embedding_groups=4,
        hidden_dropout=0.1,
        attention_dropout=0.2,
        activation_dropout=0.3,
        feat_proj_dropout=0.4,
    )
    if family == "wavlm":
        values.update(num_buckets=32, max_bucket_distance=64)
    return randomise(transformers_model(family, head, **{**values, **changes}))


def transformers_original(model: nn.Module) -> Original:
    """What the encoder ``model`` computes, with its preprocessor."""

    def run(wavs: Sequence[Tensor]) -> Sequence[Tensor]:
        if model.config.feat_extract_norm == "layer":
            # The preprocessor's own epsilon, 1e-7, is not the one that the models were trained
            # with, which is this.
            wavs = [F.layer_norm(wav, wav.shape) for wav in wavs]
        mask = pad_sequence([torch.ones(len(wav)) for wav in wavs], batch_first=True).long()
        padded = pad_sequence(list(wavs), batch_first=True)
        output = model(padded, attention_mask=mask, output_hidden_states=True)
        # Of pre-norm models some versions give the last state before the final norm.
        return [*output.hidden_states[:-1], output.last_hidden_state]

    return run
