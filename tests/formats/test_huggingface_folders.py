"""Folders that transformers wrote: every file of them counts, or they are refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from espnet_prune.formats.huggingface import import_huggingface, import_huggingface_model
from espnet_prune.formats.huggingface_waveform import CONSTANTS, shared_fields
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.tensors import load_file, save_file
from tests.encoders import NORMS
from tests.formats.parity import identical
from tests.formats.transformers_models import NAMES, small_model

every_family = pytest.mark.parametrize("family", NAMES)


def write(folder: Path, family: str, size: str = "large", head: str = "Model", **changes) -> Path:
    """Save a small model to ``folder``."""
    small_model(family, size, head, **changes).save_pretrained(folder)
    return folder


def change_json(path: Path, **changes) -> None:
    values = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**values, **changes}))


@every_family
def test_pickles_and_safetensors_of_either_spelling(tmp_path: Path, family: str) -> None:
    expected = import_huggingface(write(tmp_path, family))
    path = tmp_path / "model.safetensors"
    state = load_file(path)
    path.unlink()
    weight = "parametrizations.weight.original"
    old = {
        key.replace(f"{weight}0", "weight_g").replace(f"{weight}1", "weight_v"): value
        for key, value in state.items()
    }
    assert old.keys() != state.keys()
    for spelling in (state, old):
        torch.save(spelling, tmp_path / "pytorch_model.bin")
        assert identical(import_huggingface(tmp_path), expected)
        save_file(spelling, path)
        assert identical(import_huggingface(tmp_path), expected)
        path.unlink()
    torch.save({**state, **old}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="surplus: .*weight_g"):
        import_huggingface(tmp_path)


@every_family
def test_shards_are_joined(tmp_path: Path, family: str) -> None:
    model = small_model(family)
    model.save_pretrained(tmp_path, max_shard_size="30KB")
    shards = sorted(tmp_path.glob("model-*-of-*.safetensors"))
    assert len(shards) > 1
    assert identical(import_huggingface(tmp_path), import_huggingface_model(model))
    shards[0].unlink()
    with pytest.raises(CheckpointError, match=f"{shards[0].name}: expected a safetensors file"):
        import_huggingface(tmp_path)
    change_json(tmp_path / "model.safetensors.index.json", weight_map=None)
    with pytest.raises(CheckpointError, match="expected a weight_map"):
        import_huggingface(tmp_path)


def test_only_known_heads_are_dropped(tmp_path: Path) -> None:
    path = write(tmp_path, "hubert", head="ForCTC") / "model.safetensors"
    state = load_file(path)
    # In a model with a head, what lacks the prefix is no part of the encoder, and the other way.
    for extra in ("encoder.layer_norm.weight", "hubert.lm_head.weight", "decoder.weight"):
        save_file({**state, extra: torch.zeros(32)}, path)
        with pytest.raises(CheckpointError, match=f"surplus: {extra};"):
            import_huggingface(tmp_path)
    without = {key.removeprefix("hubert."): value for key, value in state.items()}
    save_file(without, path)
    with pytest.raises(CheckpointError, match=r"surplus: lm_head.bias, lm_head.weight;"):
        import_huggingface(tmp_path)


@every_family
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
        (lambda s: s.clear(), "missing: .* and [67][0-9] more"),
    ],
)
def test_every_key_counts(
    tmp_path: Path, family: str, change: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    path = write(tmp_path, family) / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)
    with pytest.raises(CheckpointError, match=message):
        import_huggingface(tmp_path)


@pytest.mark.parametrize(
    "key, value",
    [
        ("hidden_act", "relu"),
        ("feat_extract_activation", "gelu_new"),
        ("layer_norm_eps", 1e-6),
        ("add_adapter", True),
        ("adapter_attn_dim", 16),
        ("feat_proj_layer_norm", False),
        ("conv_pos_batch_norm", True),
        ("model_type", "data2vec-audio"),
        ("model_type", "unispeech-sat"),
        ("model_type", None),
    ],
)
def test_what_we_cannot_compute_is_refused(tmp_path: Path, key: str, value: object) -> None:
    write(tmp_path, "wav2vec2")
    change_json(tmp_path / "config.json", **{key: value})
    with pytest.raises(CheckpointError, match=f"expected {key} .* found {value!r}"):
        import_huggingface(tmp_path)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"num_buckets": ...}, "expected 'num_buckets' in the config, found none"),
        (
            {"feat_extract_norm": "batch"},
            "conv_norm: expected .* or 'none', found 'batch'",
        ),
        ({"num_attention_heads": 5}, "describes no encoder"),
        ({"num_attention_heads": 0}, "describes no encoder"),
        ({"num_hidden_layers": "many"}, "describes no encoder"),
        ({"conv_kernel": [10, 3]}, "describes no encoder"),
    ],
)
def test_impossible_configs_are_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = write(tmp_path, "wavlm") / "config.json"
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: v for key, v in values.items() if v is not ...}))
    with pytest.raises(CheckpointError, match=message):
        import_huggingface(tmp_path)
    path.write_text("{")
    with pytest.raises(CheckpointError, match="config.json: expected a JSON file"):
        import_huggingface(tmp_path)


@pytest.mark.parametrize("size", NORMS)
def test_preprocessor_decides_on_normalization(tmp_path: Path, size: str) -> None:
    write(tmp_path, "hubert", size)
    default = NORMS[size][0] == "layer"
    assert import_huggingface(tmp_path).config.normalize_waveform == default
    for normalize in (True, False):
        change_json(tmp_path / "preprocessor_config.json", do_normalize=normalize)
        assert import_huggingface(tmp_path).config.normalize_waveform is normalize
    # The file of the processor goes first, but only if it holds the preprocessor.
    change_json(tmp_path / "processor_config.json", processor_class="Wav2Vec2Processor")
    assert import_huggingface(tmp_path).config.normalize_waveform is False
    change_json(tmp_path / "processor_config.json", feature_extractor={"do_normalize": True})
    assert import_huggingface(tmp_path).config.normalize_waveform is True
    change_json(tmp_path / "processor_config.json", feature_extractor={})
    with pytest.raises(CheckpointError, match="expected do_normalize true or false, found None"):
        import_huggingface(tmp_path)


class Payload:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_pickles_with_code_are_refused_unread(tmp_path: Path) -> None:
    path = write(tmp_path, "wavlm") / "model.safetensors"
    path.unlink()
    with pytest.raises(CheckpointError, match="expected model.safetensors or pytorch_model.bin"):
        import_huggingface(tmp_path)
    torch.save({"a": Payload(tmp_path / "ran")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="can run any program"):
        import_huggingface(tmp_path)
    assert not (tmp_path / "ran").exists()
    torch.save([1, 2], tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="expected tensors by name, found list"):
        import_huggingface(tmp_path)


BAD = [-4, 0, 10**6, 0.5, float("nan"), "many", None, True, [], {}, [[1]], ...]


@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value)[:9])
def test_any_value_of_a_config(tmp_path: Path, value: object) -> None:
    path = write(tmp_path, "wavlm") / "config.json"
    original = json.loads(path.read_text())
    read = (*shared_fields("wavlm").values(), *CONSTANTS, "model_type", "intermediate_size")
    lists = ("conv_dim", "conv_kernel", "conv_stride")
    for key in (*read, *lists, "num_hidden_layers"):
        for changed in ([value], value) if key in lists else (value,):
            values = {**original, key: changed}
            path.write_text(json.dumps({k: v for k, v in values.items() if v not in (..., [...])}))
            try:
                encoder = import_huggingface(tmp_path)
            except CheckpointError as error:
                assert len(str(error).splitlines()) == 1 and len(str(error)) < 2000, key
            else:
                assert encoder(torch.zeros(1, 6000)).hidden_states[-1].isfinite().all(), key
