"""Whisper's encoder is transformers' and OpenAI's, from waveforms on, or it is refused."""

from __future__ import annotations

import configparser
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from espnet_prune.encoder import PRESETS, ConfigError, ConvLayerConfig, SSLEncoder
from espnet_prune.encoder.families.whisper import sinusoids
from espnet_prune.encoder.log_mel import LogMel
from espnet_prune.formats import export_huggingface
from espnet_prune.formats.huggingface import import_huggingface, import_huggingface_model
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.embedded import EMBEDDED
from espnet_prune.storage.tensors import load_file
from tests.formats.parity import identical, randomise
from tests.formats.test_huggingface_folders import BAD

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
def assert_same(
    encoder: SSLEncoder, model: nn.Module, bands: int = 80, seconds: Sequence[float] = SECONDS
) -> None:
    """In the padded mode every state is the original's, whole batches at once."""
    dtype = encoder.norm.weight.dtype
    wavs = [signal(length).to(dtype) for length in seconds]
    lengths = torch.tensor([len(wav) for wav in wavs])
    padded = nn.utils.rnn.pad_sequence(wavs, batch_first=True)
    expected = their_states(model, features(wavs, bands).to(dtype))
    assert encoder.config.padded_to is None
    output = encoder.pad_to(30)(padded, lengths)
    encoder.pad_to(None)
    assert output.lengths.tolist() == [round(50 * length) for length in seconds]
    for ours, theirs in zip(output.hidden_states, expected, strict=True):
        for our, their, frames in zip(ours, theirs, output.lengths.tolist(), strict=True):
            torch.testing.assert_close(our[:frames], their[:frames], atol=1e-4, rtol=0)
    # What an input is padded with belongs to it: all that the decoder attends to.
    whole = encoder(nn.functional.pad(wavs[-1], (0, 480000 - len(wavs[-1])))[None])
    for ours, theirs in zip(whole.hidden_states, expected, strict=True):
        torch.testing.assert_close(ours[0], theirs[-1], atol=1e-4, rtol=0)


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


def test_the_embedded_encoder_is_exact_and_comes_with_its_licence() -> None:
    encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
    assert encoder.config == PRESETS["whisper_tiny_en"]()
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 7632384
    stored = load_file(EMBEDDED["whisper_tiny_en"] / "model.safetensors")
    for name, value in encoder.state_dict().items():
        assert stored[name].dtype == torch.float16 and value.dtype == torch.float32
        assert torch.equal(stored[name].float(), value)
    assert torch.equal(stored["front_end.positions"], sinusoids(1500, 384).half())
    assert "Copyright (c) 2022 OpenAI" in (EMBEDDED["whisper_tiny_en"] / "LICENSE").read_text()
    settings = configparser.ConfigParser()
    settings.read(Path(__file__).parents[2] / "setup.cfg")
    assert "pretrained/*/*" in settings["options.package_data"]["espnet_prune"].split(", ")


def test_transformers_loads_what_is_written(tmp_path: Path) -> None:
    """The embedded encoder in transformers, whose decoder alone is then missing, and back."""
    transformers = pytest.importorskip("transformers")
    encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
    export_huggingface(encoder, tmp_path)
    model, findings = transformers.AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert type(model).__name__ == "WhisperModel" == model.config.architectures[0]
    missing = findings.pop("missing_keys")
    assert missing and all(key.startswith("decoder.") for key in missing)
    assert not any(findings.values()), findings
    assert identical(import_huggingface(tmp_path), encoder)
    # The last states of the real encoder are ill-conditioned: in float32 transformers itself is
    # up to 4e-4 from float64.
    assert_same(encoder.double(), model.eval().double(), seconds=(2.0,))
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    ours, stock = extractor.to_dict(), transformers.WhisperFeatureExtractor().to_dict()
    assert ours == {**stock, **ours} and ours.keys() == stock.keys()


def test_what_transformers_cannot_build_is_refused(tmp_path: Path) -> None:
    first = ConvLayerConfig(7, 3, 1)
    pruned = replace(import_huggingface_model(whisper_model()).config, conv_layers=(first,))
    with pytest.raises(ConfigError, match="WhisperModel can be, found fewer than 32 channels"):
        export_huggingface(SSLEncoder(pruned), tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value)[:9])
def test_any_value_of_a_config(tmp_path: Path, value: object) -> None:
    model = whisper_model()
    export_huggingface(import_huggingface_model(model), tmp_path)
    openai_file(model, tmp_path / "tiny.pt")
    original = json.loads((tmp_path / "config.json").read_text())
    checkpoint = torch.load(tmp_path / "tiny.pt", weights_only=True)

    def assert_told(source: Path, key: str) -> None:
        try:
            encoder = SSLEncoder.from_pretrained(source)
        except CheckpointError as error:
            assert len(str(error).splitlines()) == 1 and len(str(error)) < 2000, key
        else:
            assert encoder(torch.zeros(1, 6000)).hidden_states[-1].isfinite().all(), key

    for key in (key for key in original if not key.startswith("decoder")):
        values = {k: v for k, v in {**original, key: value}.items() if v is not ...}
        (tmp_path / "config.json").write_text(json.dumps(values))
        assert_told(tmp_path, key)
    for key in checkpoint["dims"]:
        dims = {k: v for k, v in {**checkpoint["dims"], key: value}.items() if v is not ...}
        torch.save({**checkpoint, "dims": dims}, tmp_path / "tiny.pt")
        assert_told(tmp_path / "tiny.pt", key)
