"""DPHuBERT's and DiariZen's files: every key of them counts, or they are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from espnet_prune.encoder import SSLEncoder
from espnet_prune.formats.dphubert import import_dphubert
from espnet_prune.formats.pickles import load_pickle
from espnet_prune.storage import CheckpointError
from tests.encoders import NORMS
from tests.formats.dphubert_format import (
    HEADLESS,
    LAYERS,
    POS_CONV,
    SCALE,
    TABLE,
    WEIGHT,
    Config,
    State,
    dphubert_config,
    dphubert_state,
)
from tests.formats.parity import identical

FIRST, EMPTIED = "encoder.transformer.layers.0", "encoder.transformer.layers.2"
KINDS = [(family, size) for family in ("wavlm", "hubert") for size in NORMS]
every_kind = pytest.mark.parametrize("family, size", KINDS)


def imported(config: Config, state: State, **others: Any) -> SSLEncoder:
    return import_dphubert(Path("pruned.pth"), {"config": config, "state_dict": state, **others})


@every_kind
def test_config_is_the_files(family: str, size: str) -> None:
    source = dphubert_config(family, size)
    config = imported(source, dphubert_state(source)).config
    assert config.family == family
    assert [(c.channels, c.kernel, c.stride) for c in config.conv_layers] == [
        (14, 10, 5),
        (18, 3, 2),
        (15, 3, 2),
        (11, 2, 2),
    ]
    assert (config.conv_norm, config.norm_first) == NORMS[size]
    assert config.conv_bias == source["extractor_conv_bias"]
    assert (config.num_heads, config.head_dim, config.embed_dim) == (4, 8, 32)
    assert (config.pos_conv_kernel, config.pos_conv_groups) == (8 if config.norm_first else 7, 4)
    if family == "wavlm":
        assert (config.num_buckets, config.max_distance) == (32, 64)
        assert [layer.heads for layer in config.layers] == [heads for heads, _ in LAYERS]
    else:
        # Such a file does not tell which heads are left.
        expected = [tuple(range(len(heads))) for heads, _ in LAYERS]
        assert [layer.heads for layer in config.layers] == expected
    assert [layer.ffn for layer in config.layers] == [ffn for _, ffn in LAYERS]
    assert (config.hidden_dropout, config.attention_dropout) == (0.1, 0.2)
    assert (config.ffn_dropout, config.projection_dropout) == (0.3, 0.4)
    assert config.final_norm != config.norm_first and config.channel_scale
    for normalize in (True, False):
        source["normalize_waveform"] = normalize
        config = imported(source, dphubert_state(source)).config
        assert config.normalize_waveform is normalize


@every_kind
@pytest.mark.parametrize("layers", [LAYERS, HEADLESS])
def test_written_and_read_again(tmp_path: Path, family: str, size: str, layers: Any) -> None:
    config = dphubert_config(family, size, layers)
    torch.save({"config": config, "state_dict": dphubert_state(config)}, tmp_path / "pruned.pth")
    encoder = import_dphubert(tmp_path / "pruned.pth", load_pickle(tmp_path / "pruned.pth"))
    encoder.save_pretrained(tmp_path / "ours")
    assert identical(SSLEncoder.from_pretrained(tmp_path / "ours"), encoder)


@every_kind
def test_either_spelling_of_the_weight_norm(family: str, size: str) -> None:
    config = dphubert_config(family, size)
    new = dphubert_state(config)
    old = dict(new)
    for number, name in enumerate(("weight_g", "weight_v")):
        old[f"{POS_CONV}.{name}"] = old.pop(f"{POS_CONV}.{WEIGHT}{number}")
    assert identical(imported(config, old), imported(config, new))
    with pytest.raises(CheckpointError, match="surplus: .*weight_g"):
        imported(config, {**old, **new})


@every_kind
def test_what_is_left_out_is_named(
    caplog: pytest.LogCaptureFixture, family: str, size: str
) -> None:
    config = dphubert_config(family, size, aux_num_out=3, limit_l=-0.1, temperature=2 / 3)
    config.update(extractor_prune_conv_channels=False, use_layerwise_prune=False)
    head = {"aux.weight": torch.zeros(3, 32), "aux.bias": torch.zeros(3)}
    projections = {"0.weight": torch.eye(32)}
    with caplog.at_level("INFO"):
        imported(config, dphubert_state(config) | head, distill_linear_projs=projections)
    assert "leaving out aux.bias, which" in caplog.text
    assert "leaving out distill_linear_projs, which" in caplog.text
    assert ("leaving out encoder.transformer.layer_norm.weight, which" in caplog.text) == NORMS[
        size
    ][1]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.update(extra=torch.zeros(2)), "surplus: extra;"),
        (lambda s: s.pop(f"{FIRST}.layer_norm.bias"), f"missing: {FIRST}.layer_norm.bias;"),
        (lambda s: s.pop(TABLE), f"missing: {TABLE};"),
        (
            lambda s: s.update({SCALE: torch.zeros(3)}),
            rf"another shape: {SCALE} \(3,\) instead of \(11,\)",
        ),
        (
            lambda s: s.update({f"{FIRST}.attention.gru_rel_pos_const": torch.ones(1, 5, 1, 1)}),
            r"gru_rel_pos_const \(1, 5, 1, 1\) instead of \(3,\)",
        ),
        # What a removed sublayer took along is not taken from somewhere else.
        (
            lambda s: s.update({f"{EMPTIED}.attention.out_proj.bias": torch.zeros(32)}),
            "surplus: .*layers.2.attention.out_proj.bias",
        ),
        (
            lambda s: s.update({f"{EMPTIED}.attention.bias": torch.zeros(32)}),
            "surplus: .*layers.2.attention.bias",
        ),
    ],
)
def test_every_key_counts(change: Callable[[State], object], message: str) -> None:
    config = dphubert_config("wavlm", "large")
    state = dphubert_state(config)
    change(state)
    with pytest.raises(CheckpointError, match=message):
        imported(config, state)


@pytest.mark.parametrize(
    "family, changes, message",
    [
        (
            "wavlm",
            {"extractor_mode": "none"},
            "expected conv_norm of group, layer in a WavLM, found none",
        ),
        ("wavlm", {"encoder_num_layers": 4}, "encoder_total_num_heads is for 5 layers"),
        ("wavlm", {"encoder_ff_interm_features": [12]}, "interm_features is for 1 layers"),
        (
            "wavlm",
            {"encoder_total_num_heads": [4, 4, 4, 4, 2]},
            r"differs between layers: \[2, 4\]",
        ),
        ("wavlm", {"encoder_remaining_heads": [[1, 0]] * 5}, "expected ascending indices"),
        ("wavlm", {"encoder_remaining_heads": [[0, 4]] * 5}, "expected ascending indices below 4"),
        ("wavlm", {"encoder_num_buckets": ...}, "expected 'encoder_num_buckets' in the config"),
        ("wavlm", {"encoder_head_dim": 8}, "found also encoder_head_dim"),
        ("wavlm", {"activation": "relu"}, "found also activation;"),
        ("hubert", {"encoder_num_buckets": 32}, "found also encoder_num_buckets"),
        ("hubert", {"encoder_head_dim": 0}, "describes no encoder"),
        ("hubert", {"encoder_num_heads": 4}, "describes no encoder"),
        ("hubert", {"encoder_num_heads": ...}, "expected 'encoder_num_heads' in the config"),
    ],
)
def test_unsupported_config(family: str, changes: Config, message: str) -> None:
    config = dphubert_config(family, "base")
    state = dphubert_state(config)
    given = {key: value for key, value in {**config, **changes}.items() if value is not ...}
    with pytest.raises(CheckpointError, match=message):
        imported(given, state)


@every_kind
def test_models_with_gates_are_refused(family: str, size: str) -> None:
    config = dphubert_config(family, size)
    state = dphubert_state(config)
    for flag in (
        {"encoder_prune_attention_heads": True},
        {"use_layerwise_prune": "5-12"},
        {"extractor_prune_conv_channels": None},
    ):
        with pytest.raises(CheckpointError, match=f"gates .* inside .{next(iter(flag))}.; extract"):
            imported({**config, **flag}, state)
    gate = "feature_extractor.conv_layers.0.hard_concrete.log_alpha"
    with pytest.raises(CheckpointError, match=rf"still inside \({gate}\); extract the smaller"):
        imported(config, {**state, gate: torch.zeros(14)})


def test_other_contents_are_refused() -> None:
    config = dphubert_config("wavlm", "base")
    state = dphubert_state(config)
    with pytest.raises(CheckpointError, match=r"found \['config', 'epoch', 'state_dict'\]"):
        imported(config, state, epoch=3)
    with pytest.raises(CheckpointError, match=r"found \['config'\]"):
        import_dphubert(Path("pruned.pth"), {"config": config})
    for other in (None, [1], {1: 2}):
        with pytest.raises(CheckpointError, match="pruned.pth: expected a config of values by"):
            imported(other, state)
        with pytest.raises(CheckpointError, match="pruned.pth: expected tensors by name"):
            imported(config, other)
