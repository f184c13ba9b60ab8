"""A model card says what the config says, and what it tells readers to type works."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from espnet_prune.encoder import PRESETS, ConvLayerConfig, SSLConfig, SSLEncoder
from espnet_prune.storage.model_card import is_pruned, is_unedited, model_card
from tests.encoders import KINDS, random_encoder, tiny_config


def read_tables(card: str) -> list[list[list[str]]]:
    """Header and rows of each table, without the line of dashes."""
    tables = re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE)
    rows = ([line.strip("| ").split(" | ") for line in each.splitlines()] for each in tables)
    return [[header, *body] for header, _, *body in rows]


@pytest.mark.parametrize("family, size", KINDS)
def test_everything_said_is_in_the_config(family: str, size: str) -> None:
    config = tiny_config(family, size)
    card = model_card(config, 4321)
    names = {"wavlm": "WavLM", "hubert": "HuBERT", "wav2vec2": "wav2vec 2.0"}
    name = {**names, "whisper": "Whisper"}[family]
    assert f"# {name} encoder with 0.00 M parameters" in card
    order = "pre-norm" if config.norm_first else "post-norm"
    number = 2 if family == "whisper" else 3
    assert f"{number} convolutions and 3 {order} Transformer layers of width 16, 4,321 p" in card
    assert ("zero mean" in card) == config.normalize_waveform
    assert f"gives 4 hidden states, with a frame every {config.hop / 16:g} ms" in card
    assert ("6 log-mel bands every 10 ms at their own length" in card) == (size == "own")
    assert ("6 log-mel bands every 10 ms at 3 s, padded" in card) == (size == "padded")
    convolutions, layers = read_tables(card)
    assert convolutions[1:] == [
        [str(value) for value in (index, conv.channels, conv.kernel, conv.stride)]
        for index, conv in enumerate(config.conv_layers)
    ]
    assert layers == [
        ["layer", "heads (of 4)", "which", "FFN units"],
        ["0", "4", "0 1 2 3", "12"],
        ["1", "3", "0 2 3", "9"],
        ["2", "2", "1 3", "11"],
    ]


@pytest.mark.parametrize("name, preset", PRESETS.items())
def test_header_is_for_hugging_face(name: str, preset: Callable[[], SSLConfig]) -> None:
    yaml = pytest.importorskip("yaml")
    config = preset()
    _, header, text = model_card(config, 1).split("---\n", 2)
    assert yaml.safe_load(header) == {
        "library_name": "espnet_prune",
        "pipeline_tag": "feature-extraction",
        "tags": ["speech", config.family, *(["pruned"] if name.endswith("s80") else [])],
    }
    assert ("This is a pruned speech encoder" in text) == name.endswith("s80")


@pytest.mark.parametrize(
    "changes",
    [
        {"channel_scale": True},
        {"conv_layers": (ConvLayerConfig(2, 10, 5, kept=(0, 3)),)},
        {"layers": (replace(tiny_config().layers[0], heads=(0, 1, 2)),)},
        {"layers": (replace(tiny_config().layers[0], ffn_kept=tuple(range(12))),)},
        {"layers": (tiny_config().layers[0], replace(tiny_config().layers[0], ffn=11))},
    ],
)
def test_pruned_or_not(changes: dict[str, object]) -> None:
    dense = tiny_config().dense(12)
    assert not is_pruned(dense)
    assert is_pruned(replace(dense, **changes))


def test_what_it_says_works(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    folder = tmp_path / "model"
    random_encoder(tiny_config()).save_pretrained(folder)
    card = model_card(tiny_config(), 1, str(folder))
    (python,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    found: dict[str, object] = {}
    exec(compile(python, "README.md", "exec"), found)
    assert len(found["hidden_states"]) == 4
    (settings,) = re.findall(r"```yaml\n(.*?)```", card, re.DOTALL)
    assert yaml.safe_load(settings) == {
        "frontend": "pruned_ssl",
        "frontend_conf": {"model": str(folder)},
    }
    assert f"-u pruned_wavlm -k {folder} \\\n" in card


def test_a_card_is_saved_and_kept_current(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    for family in ("wavlm", "hubert"):
        encoder = random_encoder(tiny_config(family))
        encoder.save_pretrained(tmp_path)
        num_params = sum(parameter.numel() for parameter in encoder.parameters())
        assert card.read_text() == model_card(encoder.config, num_params)
    for other in (card.read_text().replace("HuBERT", "My own"), "Mine.\n", ""):
        card.write_text(other)
        encoder.save_pretrained(tmp_path)
        assert card.read_text() == other
    card.write_bytes(b"\xff\xfe")
    encoder.save_pretrained(tmp_path)
    assert card.read_bytes() == b"\xff\xfe"
    wavs = torch.randn(1, 800)
    again = SSLEncoder.from_pretrained(tmp_path)
    assert torch.equal(again(wavs).hidden_states[-1], encoder(wavs).hidden_states[-1])


def test_edits_are_noticed() -> None:
    card = model_card(tiny_config(), 1)
    assert is_unedited(card) and is_unedited(model_card(PRESETS["whisper_tiny_en"](), 1, "a/b"))
    for edited in (card + "\n", card[1:], card.replace("speech", "music"), card.rsplit("<!--")[0]):
        assert not is_unedited(edited)
