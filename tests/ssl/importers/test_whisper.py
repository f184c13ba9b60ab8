"""Whisper's encoder is transformers' and OpenAI's, from waveforms on, or it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from espnet_prune.ssl import CheckpointError, SSLEncoder
from espnet_prune.ssl.importers.huggingface import import_huggingface, import_huggingface_model
from espnet_prune.ssl.log_mel import LogMel
from tests.ssl.importers.parity import identical, randomise

SECONDS = (30.0, 4.32, 1.0)
HEADS = ("Model", "ForConditionalGeneration", "ForAudioClassification")


def signal(seconds: float, level: float = 0.3) -> Tensor:
    """Noise that swells, over a hum and an offset, ``(T,)``."""
    torch.manual_seed(round(10 * seconds))
    times = torch.arange(round(seconds * 16000)) / 16000
    noise = torch.randn(len(times)) * (0.01 + (times * 3).sin().square())
    return level * (0.2 + noise + (times * 700).sin())


def whisper_model(head: str = "Model", bands: int = 80, **changes) -> nn.Module:
    """A small model of transformers, every parameter of it random."""
    transformers = pytest.importorskip("transformers")
    config = transformers.WhisperConfig(
        **{
            **dict(
                d_model=32,
                encoder_layers=3,
                encoder_attention_heads=4,
                encoder_ffn_dim=48,
                decoder_layers=1,
                decoder_attention_heads=4,
                decoder_ffn_dim=16,
                vocab_size=20,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=2,
                decoder_start_token_id=1,
                num_mel_bins=bands,
                dropout=0.1,
                attention_dropout=0.2,
                activation_dropout=0.3,
            ),
            **changes,
        }
    )
    torch.manual_seed(0)
    return randomise(getattr(transformers, f"Whisper{head}")(config))


def encoder_in(model: nn.Module) -> nn.Module:
    return model.get_encoder() if hasattr(model, "get_encoder") else model.encoder


def features(wavs: list[Tensor], bands: int = 80, padding: bool | str = "max_length") -> Tensor:
    """The extractor's own, ``(B, bands, M)``."""
    transformers = pytest.importorskip("transformers")
    extractor = transformers.WhisperFeatureExtractor(feature_size=bands)
    arrays = [wav.numpy() for wav in wavs]
    return extractor(arrays, sampling_rate=16000, return_tensors="pt", padding=padding)[
        "input_features"
    ]


@torch.no_grad()
def their_states(model: nn.Module, x: Tensor) -> list[Tensor]:
    output = encoder_in(model)(x, output_hidden_states=True)
    return [*output.hidden_states[:-1], output.last_hidden_state]


@torch.no_grad()
def assert_same(encoder: SSLEncoder, model: nn.Module, bands: int = 80) -> None:
    """In the padded mode every state is the original's, whole batches at once."""
    wavs = [signal(seconds) for seconds in SECONDS]
    lengths = torch.tensor([len(wav) for wav in wavs])
    padded = nn.utils.rnn.pad_sequence(wavs, batch_first=True)
    expected = their_states(model, features(wavs, bands))
    assert encoder.config.padded_to is None
    output = encoder.pad_to(30)(padded, lengths)
    encoder.pad_to(None)
    assert output.lengths.tolist() == [1500, 216, 50]
    for ours, theirs in zip(output.hidden_states, expected, strict=True):
        for our, their, frames in zip(ours, theirs, output.lengths.tolist(), strict=True):
            torch.testing.assert_close(our[:frames], their[:frames], atol=1e-4, rtol=0)
    # What an input is padded with belongs to it: all that the decoder attends to.
    whole = encoder(nn.functional.pad(wavs[2], (0, 480000 - len(wavs[2])))[None])
    for ours, theirs in zip(whole.hidden_states, expected, strict=True):
        torch.testing.assert_close(ours[0], theirs[2], atol=1e-4, rtol=0)


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize("seconds, level", [(2.0, 1.0), (1.237, 1e-3), (0.5, 0.0)])
def test_features_are_the_extractors(bands: int, seconds: float, level: float) -> None:
    wav = signal(seconds, level)
    (expected,) = features([wav], bands, padding=False)
    found = LogMel(bands)(wav[None], None)[0]
    frames = len(wav) // 160
    assert found.shape == (frames, bands)
    torch.testing.assert_close(found.t(), expected[:, :frames], atol=1e-4, rtol=0)


@pytest.mark.parametrize("head", HEADS)
def test_hidden_states_are_the_originals(tmp_path: Path, head: str, caplog) -> None:
    bands = 128 if head == "Model" else 80
    model = whisper_model(head, bands)
    model.save_pretrained(tmp_path)
    with caplog.at_level("INFO"):
        encoder = import_huggingface(tmp_path)
    assert not encoder.training
    dropped = {"Model": "decoder", "ForConditionalGeneration": "decoder"}.get(head, "projector")
    assert f"leaving out {dropped}." in caplog.text
    assert_same(encoder, model, bands)
    assert identical(import_huggingface_model(model), encoder)
    assert identical(import_huggingface_model(encoder_in(model)), encoder)
    config = encoder.config
    assert (config.hidden_dropout, config.attention_dropout, config.ffn_dropout) == (0.1, 0.2, 0.3)
    assert (config.num_heads, config.head_dim, config.mel_bands) == (4, 8, bands)


OPENAI = {
    ".self_attn.q_proj": ".attn.query",
    ".self_attn.k_proj": ".attn.key",
    ".self_attn.v_proj": ".attn.value",
    ".self_attn.out_proj": ".attn.out",
    ".self_attn_layer_norm": ".attn_ln",
    ".fc1": ".mlp.0",
    ".fc2": ".mlp.2",
    ".final_layer_norm": ".mlp_ln",
    "encoder.layers": "encoder.blocks",
    "encoder.layer_norm": "encoder.ln_post",
    "embed_positions.weight": "positional_embedding",
}


def openai_file(model: nn.Module, path: Path) -> None:
    """What OpenAI publishes, of a model that transformers' converter would read it as."""
    state = {}
    for key, value in model.state_dict().items():
        for theirs, openai in OPENAI.items():
            key = key.replace(theirs, openai)
        state[key] = value.half()
    config = model.config
    dims = dict(
        n_mels=config.num_mel_bins,
        n_vocab=config.vocab_size,
        n_audio_ctx=1500,
        n_audio_state=config.d_model,
        n_audio_head=config.encoder_attention_heads,
        n_audio_layer=config.encoder_layers,
    )
    torch.save({"dims": dims, "model_state_dict": state}, path)


def test_openai_files(tmp_path: Path) -> None:
    model = whisper_model(encoder_ffn_dim=128)
    openai_file(model, tmp_path / "tiny.pt")
    encoder = SSLEncoder.from_pretrained(tmp_path / "tiny.pt")
    assert_same(encoder, model.half().float())
    assert encoder.front_end.projection.weight.dtype == torch.float32


def test_a_folder_without_an_encoder(tmp_path: Path) -> None:
    model = whisper_model()
    state = {key: value for key, value in model.state_dict().items() if "encoder." not in key}
    model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(CheckpointError, match="expected the weights of Whisper's encoder.*found d"):
        import_huggingface(tmp_path)


def test_bands_of_another_model(tmp_path: Path) -> None:
    whisper_model(bands=128).save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('ins": 128', 'ins": 80'))
    with pytest.raises(CheckpointError, match="80 mel bands, as its config says.* for 128"):
        import_huggingface(tmp_path)
