"""The decoder of transformers makes text of our encoders' frames."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers")

from espnet_prune.encoder import ConfigError, SSLEncoder
from espnet_prune.formats.huggingface import import_huggingface_model
from espnet_prune.formats.whisper_text import under_decoder
from espnet_prune.inference import inference_form
from espnet_prune.pruning import apply
from tests.encoders import random_encoder, random_masks, tiny_config
from tests.formats.test_whisper import features, signal, whisper_model

TOKENS = torch.tensor([[1, 5, 7, 3], [1, 4, 4, 9]])


@pytest.fixture(scope="module")
def heard():
    return features([signal(4.0), signal(2.0)])


def original():
    return whisper_model("ForConditionalGeneration").eval()


def encoder():
    return import_huggingface_model(original()).eval()


def pruned(dense: SSLEncoder) -> SSLEncoder:
    masks = random_masks(dense.config, units=("conv", "head", "ffn"))
    config, state = apply(dense.config, dense.state_dict(), masks)
    smaller = SSLEncoder(config).eval()
    smaller.load_state_dict(state)
    return smaller


@torch.no_grad()
def words(model, heard) -> list[list[int]]:
    return model.generate(heard, max_new_tokens=6, do_sample=False).tolist()


@pytest.mark.parametrize("form", [lambda encoder: encoder, inference_form])
@torch.no_grad()
def test_a_dense_encoder_gives_the_originals_text(form, heard):
    theirs, ours = original(), under_decoder(form(encoder()), original())
    expected = theirs(input_features=heard, decoder_input_ids=TOKENS).logits
    found = ours(input_features=heard, decoder_input_ids=TOKENS).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert words(ours, heard) == words(theirs, heard)


@torch.no_grad()
def test_a_pruned_encoder_gives_text(heard):
    ours = under_decoder(pruned(encoder()), original())
    logits = ours(input_features=heard, decoder_input_ids=TOKENS).logits
    dense = original()(input_features=heard, decoder_input_ids=TOKENS).logits
    assert logits.isfinite().all() and not torch.allclose(logits, dense, atol=1e-2)
    text = words(ours, heard)
    assert len(text) == 2 and all(0 <= token < 20 for line in text for token in line)


def test_it_learns_with_the_decoder(heard):
    ours = under_decoder(pruned(encoder()), original()).train()
    ours(input_features=heard, labels=TOKENS).loss.backward()
    grads = [parameter.grad for parameter in ours.model.encoder.parameters()]
    assert all(grad is not None and grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize(
    "changes, found",
    [
        ({"family": "hubert"}, "family whisper, .* found hubert"),
        ({"family": "whisper", "mel_bands": 80}, "embed_dim 32, .* found 16"),
        ({"family": "whisper", "embed_dim": 32, "head_dim": 8}, "mel_bands 80, .* found 6"),
    ],
)
def test_other_encoders_are_refused(changes, found):
    with pytest.raises(ConfigError, match=f"expected an encoder of {found}; take the model"):
        under_decoder(random_encoder(tiny_config(size="base", **changes)), original())
