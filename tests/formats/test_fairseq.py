"""An encoder out of fairseq's kind of file is the original, layer by layer, or it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from espnet_prune.encoder import PRESETS
from espnet_prune.encoder.attention import RelativePositionBias
from espnet_prune.formats.conversion import new_weight_norm
from espnet_prune.formats.fairseq import import_fairseq
from espnet_prune.formats.pickles import load_pickle
from espnet_prune.storage import CheckpointError
from tests.formats.fairseq_models import (
    NAMES,
    fairseq_checkpoints,
    lengths_counted_alike,
    s3prl_checkpoint,
    s3prl_model,
    s3prl_original,
    small_config,
)
from tests.formats.parity import (
    TOLERANCE,
    error_alone,
    error_in_a_batch,
    identical,
    randomise,
    waveforms,
)

every_model = pytest.mark.parametrize("name", NAMES)
FILE = Path("model.pt")


def small_checkpoint(name: str) -> dict[str, Any]:
    config = small_config(name)
    return s3prl_checkpoint(config, randomise(s3prl_model(config)))


def weights(checkpoint: dict[str, Any]) -> dict[str, torch.Tensor]:
    return checkpoint["model_weight" if "model_weight" in checkpoint else "model"]


def with_weights(checkpoint: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    return {**checkpoint, "model_weight" if "model_weight" in checkpoint else "model": state}


@every_model
def test_hidden_states_are_the_originals(tmp_path: Path, name: str) -> None:
    config, path = small_config(name), tmp_path / FILE
    torch.save(small_checkpoint(name), path)
    encoder = import_fairseq(path, load_pickle(path))
    original = s3prl_original(config.family, path)
    assert encoder.config == config
    assert not encoder.training
    wavs = waveforms()
    assert error_alone(encoder, original, wavs) <= TOLERANCE
    # In a batch, our item is what it is alone ...
    assert error_in_a_batch(encoder, original, wavs, padded=False) <= TOLERANCE
    # ... and the original's too, unless padding gets into a group norm or counts as real.
    if config.conv_norm == "layer":
        wavs = waveforms(lengths_counted_alike(config, 2419))
        assert error_in_a_batch(encoder, original, wavs) <= TOLERANCE


@every_model
def test_only_rounding_separates_us(tmp_path: Path, name: str) -> None:
    path = tmp_path / FILE
    torch.save(small_checkpoint(name), path)
    encoder = import_fairseq(path, load_pickle(path)).double()
    original = s3prl_original(encoder.config.family, path, torch.float64)
    assert error_alone(encoder, original, [wav.double() for wav in waveforms()]) <= 1e-12


@every_model
@torch.no_grad()
def test_parity_sees_every_tensor(tmp_path: Path, name: str) -> None:
    path = tmp_path / FILE
    torch.save(small_checkpoint(name), path)
    encoder = import_fairseq(path, load_pickle(path))
    original, wavs = s3prl_original(encoder.config.family, path), waveforms((2000,))
    for tensor in encoder.state_dict().values():
        kept = tensor.clone()
        tensor.copy_(2 * kept.flip(-1))
        assert error_alone(encoder, original, wavs) > 10 * TOLERANCE
        tensor.copy_(kept)
    assert error_alone(encoder, original, wavs) <= TOLERANCE


@pytest.mark.parametrize("family", ["hubert", "wav2vec2"])
def test_every_container_holds_the_same_encoder(tmp_path: Path, family: str) -> None:
    converted = small_checkpoint(f"{family}_large")
    expected = import_fairseq(FILE, converted)
    for container, checkpoint in fairseq_checkpoints(converted).items():
        path = tmp_path / f"{container}.pt"
        torch.save(checkpoint, path)
        assert identical(import_fairseq(path, load_pickle(path)), expected)
        if isinstance(checkpoint.get("cfg"), dict):
            create = pytest.importorskip("omegaconf").OmegaConf.create
            config = create(checkpoint["cfg"], flags={"allow_objects": True})
            torch.save({**checkpoint, "cfg": config}, path)
            assert identical(import_fairseq(path, load_pickle(path)), expected)


@every_model
def test_family_without_a_name(name: str) -> None:
    checkpoint = small_checkpoint(name)
    expected = import_fairseq(FILE, checkpoint)
    checkpoint.get("model_cfg", {}).pop("_name", None)
    assert identical(import_fairseq(FILE, checkpoint), expected)


def test_s3prl_calls_others_hubert_too() -> None:
    checkpoint = small_checkpoint("hubert_base")
    checkpoint["model_cfg"]["_name"] = "contentvec"
    assert import_fairseq(FILE, checkpoint).config.family == "hubert"


def test_new_spelling_of_the_weight_norm() -> None:
    checkpoint = small_checkpoint("hubert_base")
    expected = import_fairseq(FILE, checkpoint)
    old, new = "encoder.pos_conv.0.weight_", "encoder.pos_conv.0.parametrizations.weight.original"
    state = checkpoint["model_weight"]
    state[f"{new}0"], state[f"{new}1"] = state.pop(f"{old}g"), state.pop(f"{old}v")
    assert identical(import_fairseq(FILE, checkpoint), expected)


DROPPED = {
    "wavlm": {"mask_emb", "final_proj.weight"},
    "hubert": {
        "mask_emb",
        "final_proj.weight",
        "final_proj.bias",
        "label_embs_concat",
        "target_glu.0.weight",
        "target_glu.0.bias",
    },
    "wav2vec2": {
        "mask_emb",
        "final_proj.weight",
        "final_proj.bias",
        "quantizer.vars",
        "quantizer.weight_proj.weight",
        "quantizer.weight_proj.bias",
        "project_q.weight",
        "project_q.bias",
    },
}


@every_model
def test_every_key_counts(name: str, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = small_checkpoint(name)
    if name.startswith("wavlm"):  # Its published files hold no head.
        weights(checkpoint)["final_proj.weight"] = torch.zeros(2, 2)
    family, state = name.partition("_")[0], dict(weights(checkpoint))
    with caplog.at_level("INFO"):
        import_fairseq(FILE, checkpoint)
    assert {record.args[1] for record in caplog.records} == DROPPED[family]
    for key in state.keys() - DROPPED[family]:
        (name_in_errors,) = new_weight_norm({key: state[key]})
        checkpoint = with_weights(checkpoint, {k: v for k, v in state.items() if k != key})
        with pytest.raises(CheckpointError, match=f"missing: {name_in_errors};"):
            import_fairseq(FILE, checkpoint)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"extra": torch.zeros(2)}, "surplus: extra;"),
        ({"final_projector.weight": torch.zeros(2)}, "surplus: final_projector.weight;"),
        (
            {"encoder.layer_norm.bias": torch.zeros(3)},
            r"of another shape: encoder.layer_norm.bias \(3,\) instead of \(32,\)",
        ),
        (dict.fromkeys("abcdefghij", torch.ones(1)), "h and 2 more"),
        ({"mask_emb": "abc"}, "expected tensors by name"),
    ],
)
def test_other_weights_are_refused(changes: dict[str, Any], message: str) -> None:
    checkpoint = small_checkpoint("wav2vec2_base")
    with pytest.raises(CheckpointError, match=message):
        import_fairseq(FILE, with_weights(checkpoint, {**weights(checkpoint), **changes}))


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("wavlm_base", {"gru_rel_pos": False}, "expected gru_rel_pos = True"),
        (
            "wavlm_base",
            {"relative_position_embedding": False},
            "expected relative_position_embedding = True .* found False",
        ),
        ("wavlm_base", {"expand_attention_head_size": 64}, "expand_attention_head_size = -1"),
        ("wavlm_base", {"num_buckets": ...}, "expected 'num_buckets' in the config, found none"),
        ("wavlm_base", {"gru_rel_pos": ...}, "wavlm, hubert, wav2vec2, found None"),
        ("hubert_base", {"activation_fn": "relu"}, "expected activation_fn = 'gelu' .* 'relu'"),
        ("hubert_base", {"layer_type": "conformer"}, "expected layer_type = 'transformer'"),
        ("hubert_base", {"conv_pos_batch_norm": True}, "expected conv_pos_batch_norm = False"),
        ("wav2vec2_base", {"_name": "data2vec_audio"}, "wav2vec2, found 'data2vec_audio'"),
        ("wav2vec2_base", {"pos_enc_type": "rope"}, "expected pos_enc_type = 'abs'"),
        ("wav2vec2_base", {"pos_conv_depth": 5}, "expected pos_conv_depth = 1 .* found 5"),
        ("wav2vec2_base", {"crop_seq_to_multiple": 2}, "expected crop_seq_to_multiple = 1"),
        ("wav2vec2_base", {"quantize_input": True}, "expected quantize_input = False"),
        (
            "wav2vec2_base",
            {"extractor_mode": "conv2d"},
            "conv_norm: expected 'group' or 'layer' or 'none', found 'conv2d'",
        ),
        ("wavlm_base", {"encoder_attention_heads": 5}, "describes no encoder"),
        ("wavlm_base", {"encoder_attention_heads": 0}, "describes no encoder"),
        ("wavlm_base", {"encoder_layers": "many"}, "describes no encoder"),
        (
            "hubert_base",
            {"conv_feature_layers": "[(8, 3)]"},
            r"expected conv_feature_layers such as .* found '\[\(8, 3\)\]'",
        ),
        (
            "hubert_base",
            {"conv_feature_layers": "__import__('os').getcwd()"},
            "expected conv_feature_layers such as .* found .__import__",
        ),
        (
            "hubert_base",
            {"conv_feature_layers": None},
            "expected conv_feature_layers such as .* found None",
        ),
    ],
)
def test_unsupported_configs_are_refused(name: str, changes: dict[str, Any], message: str) -> None:
    checkpoint = small_checkpoint(name)
    cfg = checkpoint["cfg" if "cfg" in checkpoint else "model_cfg"]
    checkpoint.pop("dictionaries_symbols", None)
    cfg.update(changes)
    for key in [key for key, value in cfg.items() if value is ...]:
        del cfg[key]
    with pytest.raises(CheckpointError, match=message):
        import_fairseq(FILE, checkpoint)


@pytest.mark.parametrize(
    "checkpoint, found",
    [
        ({"model": {}}, "NoneType"),
        ({"cfg": "text", "model": {}}, "str"),
        ({"cfg": {"model": {}, "task": None}, "model": {}}, "NoneType"),
        ({"model_cfg": [], "task_cfg": {}, "model_weight": {}}, "list"),
        # fairseq from 2021 on: where the pre-trained model lies is all that is saved.
        ({"cfg": {"model": {"w2v_path": "a", "w2v_args": None}, "task": {}}}, "NoneType"),
    ],
)
def test_files_without_a_config_are_refused(checkpoint: dict[str, Any], found: str) -> None:
    message = f"expected the config of a pre-trained model and its task, found {found};"
    with pytest.raises(CheckpointError, match=message):
        import_fairseq(FILE, checkpoint)


def test_position_bias_of_the_published_sizes() -> None:
    modules = pytest.importorskip("s3prl.upstream.wavlm.modules")
    original = modules.MultiheadAttention(
        8, 2, has_relative_attention_bias=True, num_buckets=320, max_distance=800
    )
    ours, table = RelativePositionBias(320, 800, 2), torch.arange(640.0).view(320, 2)
    ours.table.weight.data = original.relative_attention_bias.weight.data = table
    assert torch.equal(ours(900), original.compute_bias(900, 900))


@pytest.mark.slow
@every_model
def test_published_sizes(tmp_path: Path, name: str) -> None:
    config, path = PRESETS[name](), tmp_path / FILE
    torch.save(s3prl_checkpoint(config, s3prl_model(config)), path)
    encoder = import_fairseq(path, load_pickle(path))
    assert encoder.config == config
    original = s3prl_original(config.family, path)
    longest, _, shortest = lengths_counted_alike(config, 16000)
    wavs = waveforms((longest, shortest))
    # Pre-norm states grow to 12 or 13, where a float32 is known to 1e-6, and the originals' own are
    # up to 1.2e-5 from what float64 gives.
    rounding = 2 * TOLERANCE if config.norm_first else TOLERANCE
    assert error_alone(encoder, original, wavs[:1]) <= rounding
    padded = config.conv_norm == "layer"
    assert error_in_a_batch(encoder, original, wavs, padded) <= rounding
    original = s3prl_original(config.family, path, torch.float64)
    path.unlink()
    assert error_alone(encoder.double(), original, [wavs[0].double()]) <= 1e-12


BAD = [-4, 0, 10**6, 10**12, 0.5, float("nan"), "many", None, True, [], {}, "[(9**9**9,1,1)]",
       "[(512,10,5)] * 99999999"]  # fmt: skip


@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value)[:12])
def test_any_value_of_a_config(value: object) -> None:
    checkpoint = small_checkpoint("wavlm_base")
    for key in checkpoint["cfg"]:
        changed = {**checkpoint, "cfg": {**checkpoint["cfg"], key: value}}
        try:
            encoder = import_fairseq(FILE, changed)
        except CheckpointError as error:
            assert len(str(error).splitlines()) == 1 and len(str(error)) < 2000, key
        else:
            assert encoder(torch.zeros(1, 6000)).hidden_states[-1].isfinite().all(), key
