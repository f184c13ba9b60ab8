"""An imported encoder is the original, layer by layer, or it is refused."""

from __future__ import annotations

import json
import os
import pickle
import sys
import types
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_prune.ssl import CheckpointError, SSLEncoder
from espnet_prune.ssl.attention import RelativePositionBias
from espnet_prune.ssl.importers import import_encoder
from espnet_prune.ssl.safetensors import load_file, save_file
from tests.encoders import random_encoder, tiny_config

Original = Callable[[Sequence[Tensor]], Sequence[Tensor]]
SIZES = ("base", "large")
TOLERANCE = 1e-5
LENGTHS = (6000, 3777, 5000)  # samples; 149 frames, beyond the last bucket of the position bias


def randomise(model: nn.Module) -> nn.Module:
    """Make every parameter random, also those that start as zeros or ones."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def microsoft_cfg(size: str) -> dict[str, object]:
    """The keys of the published files, with small numbers."""
    large = size == "large"
    cfg = {
        "extractor_mode": "layer_norm" if large else "default",
        "encoder_layers": 3,
        "encoder_embed_dim": 32,
        "encoder_ffn_embed_dim": 48,
        "encoder_attention_heads": 4,
        "activation_fn": "gelu",
        "dropout": 0.1,
        "attention_dropout": 0.2,
        "activation_dropout": 0.3,
        "encoder_layerdrop": 0.05,
        "dropout_input": 0.4,
        "dropout_features": 0.5,
        "layer_norm_first": large,
        "conv_feature_layers": "[(16,10,5)] + [(16,3,2)] * 2 + [(12,2,2)]",
        "conv_bias": large,
        "feature_grad_mult": 0.1,
        "mask_length": 10,
        "mask_prob": 0.8,
        "conv_pos": 8 if large else 7,
        "conv_pos_groups": 4,
        "relative_position_embedding": True,
        "num_buckets": 32,
        "max_distance": 64,
        "gru_rel_pos": True,
        "expand_attention_head_size": -1,
    }
    return {**cfg, "normalize": True} if large else cfg


def write_microsoft(folder: Path, size: str) -> Path:
    """Write a file as Microsoft's, with random weights."""
    wavlm = pytest.importorskip("s3prl.upstream.wavlm.WavLM")
    cfg = microsoft_cfg(size)
    model = randomise(wavlm.WavLM(wavlm.WavLMConfig(cfg)))
    torch.save({"cfg": cfg, "model": model.state_dict()}, folder / "WavLM.pt")
    return folder / "WavLM.pt"


def s3prl_original(path: Path) -> Original:
    """s3prl's upstream of the file: waveforms to hidden states."""
    expert = pytest.importorskip("s3prl.upstream.wavlm.expert").UpstreamExpert(str(path)).eval()
    return lambda wavs: expert(list(wavs))["hidden_states"]


def write_huggingface(folder: Path, size: str) -> Path:
    """Write a folder with transformers, with random weights."""
    transformers = pytest.importorskip("transformers")
    large = size == "large"
    config = transformers.WavLMConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        conv_dim=(16, 16, 16, 12),
        conv_kernel=(10, 3, 3, 2),
        conv_stride=(5, 2, 2, 2),
        conv_bias=large,
        num_conv_pos_embeddings=8 if large else 7,
        num_conv_pos_embedding_groups=4,
        num_buckets=32,
        max_bucket_distance=64,
        do_stable_layer_norm=large,
        feat_extract_norm="layer" if large else "group",
        hidden_dropout=0.1,
        attention_dropout=0.2,
        activation_dropout=0.3,
        feat_proj_dropout=0.4,
    )
    randomise(transformers.WavLMModel(config)).save_pretrained(folder)
    return folder


def transformers_original(folder: Path, dtype: torch.dtype = torch.float32) -> Original:
    """transformers' model of the folder: waveforms, a batch of any lengths, to hidden states."""
    model = pytest.importorskip("transformers").WavLMModel.from_pretrained(folder).eval().to(dtype)

    def run(wavs: Sequence[Tensor]) -> Sequence[Tensor]:
        if model.config.feat_extract_norm == "layer":
            # The model leaves this to its feature extractor (whose epsilon, 1e-7, is not WavLM's).
            wavs = [F.layer_norm(wav, wav.shape) for wav in wavs]
        mask = nn.utils.rnn.pad_sequence([torch.ones(len(wav)) for wav in wavs], batch_first=True)
        padded = nn.utils.rnn.pad_sequence(list(wavs), batch_first=True)
        output = model(padded, attention_mask=mask.long(), output_hidden_states=True)
        # Of pre-norm models some versions give the last state before the final norm.
        return [*output.hidden_states[:-1], output.last_hidden_state]

    return run


WRITERS = {"microsoft": write_microsoft, "huggingface": write_huggingface}
ORIGINALS = {"microsoft": s3prl_original, "huggingface": transformers_original}
both_sources = pytest.mark.parametrize("kind", WRITERS)
both_sizes = pytest.mark.parametrize("size", SIZES)


def waveforms(lengths: Sequence[int] = LENGTHS) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [0.3 + 0.5 * torch.randn(length, generator=generator) for length in lengths]


def error(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    assert len(ours) == len(theirs) == 4
    pairs = zip(ours, theirs, strict=True)
    return max(float((our - their).abs().max()) for our, their in pairs)


@both_sources
@both_sizes
@torch.no_grad()
def test_hidden_states_are_the_originals(tmp_path: Path, kind: str, size: str) -> None:
    path = WRITERS[kind](tmp_path, size)
    original, encoder = ORIGINALS[kind](path), import_encoder(path)
    assert not encoder.training
    wavs = waveforms()
    theirs = [original([wav]) for wav in wavs]
    for wav, states in zip(wavs, theirs, strict=True):
        assert error(encoder(wav[None]).hidden_states, states) <= TOLERANCE
    # In a batch, the originals let padding into group norms, and Microsoft's counts up to two
    # frames of padding to the item; our item is what it is alone.
    padded = nn.utils.rnn.pad_sequence(wavs, batch_first=True)
    batch = encoder(padded, torch.tensor(LENGTHS))
    for index, states in enumerate(theirs):
        frames = int(batch.lengths[index])
        ours = [state[index : index + 1, :frames] for state in batch.hidden_states]
        assert error(ours, states) <= TOLERANCE


@both_sizes
@torch.no_grad()
def test_only_rounding_separates_us(tmp_path: Path, size: str) -> None:
    folder = write_huggingface(tmp_path, size)
    wav = waveforms()[0].double()
    theirs = transformers_original(folder, torch.float64)([wav])
    assert error(import_encoder(folder).double()(wav[None]).hidden_states, theirs) <= 1e-12


@torch.no_grad()
def test_padded_batch_is_the_originals(tmp_path: Path) -> None:
    folder = write_huggingface(tmp_path, "large")
    wavs = waveforms()
    theirs = transformers_original(folder)(wavs)
    padded = nn.utils.rnn.pad_sequence(wavs, batch_first=True)
    ours, frames = import_encoder(folder)(padded, torch.tensor(LENGTHS))
    for index, count in enumerate(frames):
        item = slice(index, index + 1)
        cut = [state[item, :count] for state in ours], [state[item, :count] for state in theirs]
        assert error(*cut) <= TOLERANCE


@both_sources
@both_sizes
@pytest.mark.parametrize("part", ["position_bias.table.weight", "position_gate.scale", "qkv.bias"])
@torch.no_grad()
def test_parity_sees_every_part(tmp_path: Path, kind: str, size: str, part: str) -> None:
    path = WRITERS[kind](tmp_path, size)
    original, encoder = ORIGINALS[kind](path), import_encoder(path)
    for name, parameter in encoder.named_parameters():
        if name.endswith(part):
            parameter.zero_()
    wav = waveforms()[0]
    assert error(encoder(wav[None]).hidden_states, original([wav])) > 100 * TOLERANCE


def test_position_bias_of_the_published_sizes() -> None:
    ours = RelativePositionBias(320, 800, 2)
    originals = [
        pytest.importorskip("s3prl.upstream.wavlm.modules").MultiheadAttention(
            8, 2, has_relative_attention_bias=True, num_buckets=320, max_distance=800
        ),
        pytest.importorskip("transformers.models.wavlm.modeling_wavlm").WavLMAttention(8, 2),
    ]
    table = torch.arange(640.0).view(320, 2)
    ours.table.weight.data = table
    originals[0].relative_attention_bias.weight.data = table
    originals[1].rel_attn_embed.weight.data = table
    for original in originals:
        assert torch.equal(ours(900), original.compute_bias(900, 900))


@both_sources
@both_sizes
def test_config_is_the_sources(tmp_path: Path, kind: str, size: str) -> None:
    config = import_encoder(WRITERS[kind](tmp_path, size)).config
    large = size == "large"
    assert [(c.channels, c.kernel, c.stride) for c in config.conv_layers] == [
        (16, 10, 5),
        (16, 3, 2),
        (16, 3, 2),
        (12, 2, 2),
    ]
    assert (config.conv_norm == "layer", config.norm_first, config.conv_bias) == (large,) * 3
    assert config.normalize_waveform == large
    assert (config.num_buckets, config.max_distance) == (32, 64)
    assert (config.hidden_dropout, config.attention_dropout) == (0.1, 0.2)
    assert (config.ffn_dropout, config.projection_dropout) == (0.3, 0.4)
    assert [(layer.heads, layer.ffn) for layer in config.layers] == [((0, 1, 2, 3), 48)] * 3


@both_sizes
def test_huggingface_pickle_of_either_spelling(tmp_path: Path, size: str) -> None:
    folder = write_huggingface(tmp_path, size)
    expected = import_encoder(folder).state_dict()
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weight = "parametrizations.weight.original"
    old = {
        key.replace(f"{weight}0", "weight_g").replace(f"{weight}1", "weight_v"): value
        for key, value in state.items()
    }
    assert old.keys() != state.keys()
    for spelling in (state, old):
        torch.save(spelling, folder / "pytorch_model.bin")
        found = import_encoder(folder).state_dict()
        assert all(torch.equal(found[key], value) for key, value in expected.items())
    torch.save({**state, **old}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=rf"surplus: .*{weight}0"):
        import_encoder(folder)


@both_sizes
def test_preprocessor_decides_on_normalization(tmp_path: Path, size: str) -> None:
    folder = write_huggingface(tmp_path, size)
    for normalize in (True, False):
        (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": normalize}))
        assert import_encoder(folder).config.normalize_waveform is normalize
    (folder / "preprocessor_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="expected do_normalize true or false, found None"):
        import_encoder(folder)


def rewrite_weights(kind: str, path: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    if kind == "microsoft":
        checkpoint = torch.load(path, weights_only=True)
        change(checkpoint["model"])
        torch.save(checkpoint, path)
    else:
        state = load_file(path / "model.safetensors")
        change(state)
        save_file(state, path / "model.safetensors")


@both_sources
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.update(extra=torch.zeros(2)), "surplus: extra;"),
        (lambda s: s.pop("encoder.layer_norm.bias"), "missing: encoder.layer_norm.bias;"),
        (
            lambda s: s.update({"encoder.layer_norm.bias": torch.zeros(3)}),
            r"of another shape: encoder.layer_norm.bias \(3,\) instead of \(32,\)",
        ),
        (lambda s: s.update(dict.fromkeys("abcdefghij", torch.ones(1))), "h and 2 more"),
        (lambda s: s.clear(), "missing: .* and 75 more"),
    ],
)
def test_every_key_counts(
    tmp_path: Path, kind: str, change: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    path = WRITERS[kind](tmp_path, "large")
    rewrite_weights(kind, path, change)
    with pytest.raises(CheckpointError, match=message):
        import_encoder(path)


def test_parts_of_pre_training_are_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_microsoft(tmp_path, "base")
    extra = {"final_proj.weight": torch.zeros(2, 2), "label_embs_concat": torch.zeros(2)}
    rewrite_weights("microsoft", path, lambda state: state.update(extra))
    with caplog.at_level("INFO"):
        import_encoder(path)
    for name in ("mask_emb", "final_proj.weight", "label_embs_concat"):
        assert f"leaving out {name}, which" in caplog.text


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"activation_fn": "relu"}, "expected activation_fn = 'gelu' .* found 'relu'"),
        ({"gru_rel_pos": False}, "expected gru_rel_pos = True"),
        ({"relative_position_embedding": False}, "expected relative_position_embedding = True"),
        ({"extractor_mode": "conv2d"}, "conv_norm 'conv2d' is neither"),
        ({"encoder_attention_heads": 5}, "describes no encoder"),
        ({"encoder_attention_heads": 0}, "describes no encoder"),
        ({"encoder_layers": "many"}, "describes no encoder"),
        ({"conv_feature_layers": "[(8, 3)]"}, r"'\[\(8, 3\)\]' is no list of convolutions"),
        ({"conv_feature_layers": "__import__('os').getcwd()"}, "is no list of convolutions"),
        ({"num_buckets": None}, "expected 'num_buckets' in the config, found none"),
    ],
)
def test_unsupported_microsoft_config(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    cfg = {**microsoft_cfg("base"), **changes}
    cfg = {key: value for key, value in cfg.items() if value is not None}
    torch.save({"cfg": cfg, "model": {}}, tmp_path / "WavLM.pt")
    with pytest.raises(CheckpointError, match=message):
        import_encoder(tmp_path / "WavLM.pt")


@pytest.mark.parametrize(
    "key, value",
    [
        ("model_type", "hubert"),
        ("hidden_act", "relu"),
        ("feat_extract_activation", "gelu_new"),
        ("layer_norm_eps", 1e-6),
        ("add_adapter", True),
    ],
)
def test_unsupported_huggingface_config(tmp_path: Path, key: str, value: object) -> None:
    folder = write_huggingface(tmp_path, "base")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: value}))
    with pytest.raises(CheckpointError, match=f"expected {key} = .* found {value!r}"):
        import_encoder(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="config.json: expected a JSON file"):
        import_encoder(folder)


class Payload:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "write", [torch.save, lambda data, path: path.write_bytes(pickle.dumps(data))]
)
def test_pickles_with_code_are_refused_unread(
    tmp_path: Path, write: Callable[[object, Path], object]
) -> None:
    path = tmp_path / "WavLM.pt"
    write({"cfg": Payload(tmp_path / "ran"), "model": {}}, path)
    with pytest.raises(CheckpointError, match="can run any program") as refusal:
        import_encoder(path)
    assert not (tmp_path / "ran").exists()
    # PyTorch's own refusal goes on for lines and advises to load the file unsafely; ours must not
    # pass that advice on.
    assert "\n" not in str(refusal.value) and "weights_only=False" not in str(refusal.value)


def test_huggingface_pickles_are_no_exception(tmp_path: Path) -> None:
    folder = write_huggingface(tmp_path, "base")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="expected model.safetensors or pytorch_model.bin"):
        import_encoder(folder)
    torch.save({"a": Payload(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="can run any program"):
        import_encoder(folder)
    assert not (tmp_path / "ran").exists()
    torch.save([1, 2], folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="expected tensors by name, found list"):
        import_encoder(folder)


def test_a_refusal_names_what_the_pickle_needs(tmp_path: Path) -> None:
    torch.save({"args": Fraction(1, 2), "model": {}}, tmp_path / "fairseq.pt")
    with pytest.raises(CheckpointError, match="fractions.Fraction"):
        import_encoder(tmp_path / "fairseq.pt")


def test_other_contents_are_refused(tmp_path: Path) -> None:
    torch.save({"config": {}, "state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"with 'cfg' and 'model', found \['config', 'state"):
        import_encoder(tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("No such file, said the server.\n" * 100)
    with pytest.raises(CheckpointError, match="text.pt: expected a PyTorch file"):
        import_encoder(tmp_path / "text.pt")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("keep", [0, 1, 300, 0.5, 0.9, -1])
def test_truncated_files_are_refused(tmp_path: Path, zipped: bool, keep: float) -> None:
    path = write_microsoft(tmp_path, "base")
    checkpoint = torch.load(path, weights_only=True)
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    import_encoder(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(CheckpointError, match="WavLM.pt: expected a PyTorch file"):
        import_encoder(path)


def test_our_own_folder(tmp_path: Path) -> None:
    encoder = random_encoder(tiny_config())
    encoder.save_pretrained(tmp_path)
    found = import_encoder(tmp_path)
    assert found.config == encoder.config
    assert all(
        torch.equal(a, b) for a, b in zip(found.parameters(), encoder.parameters(), strict=True)
    )


def test_hugging_face_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random_encoder(tiny_config()).save_pretrained(tmp_path / "snapshot")
    asked = []

    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, "model.safetensors" in allow_patterns))
        if name == "owner/unknown":
            raise OSError("404")
        return str(tmp_path / "snapshot")

    hub = types.ModuleType("huggingface_hub")
    monkeypatch.setattr(hub, "snapshot_download", snapshot_download, raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert isinstance(import_encoder("owner/name"), SSLEncoder)
    with pytest.raises(CheckpointError, match="no download from Hugging Face: 404"):
        import_encoder("owner/unknown")
    with pytest.raises(CheckpointError, match="check the path"):
        import_encoder(tmp_path / "nowhere")
    assert asked == [("owner/name", True), ("owner/unknown", True)]
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match="pip install huggingface_hub"):
        import_encoder("owner/name")
