"""The command's numbers are the published ones, the counted ones, and sum to the whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from espnet_prune.bin.profile import main, profile_encoder
from espnet_prune.encoder import PRESETS, SSLConfig
from espnet_prune.pruning import count_macs, count_params
from tests.encoders import KINDS, random_encoder, tiny_config

CASES = Path(__file__).parents[1] / "data" / "cases"
UNITS = ("params", "macs")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    main(arguments)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "name, params, macs",
    [
        ("wavlm_base_plus", "94.38", "6.911"),
        ("wavlm_large", "315.45", "17.811"),
        ("wavlm_base_plus_s80", "18.88", "1.134"),
        ("wavlm_large_s80", "63.10", "3.681"),
    ],
)
def test_published_numbers(
    capsys: pytest.CaptureFixture[str], name: str, params: str, macs: str
) -> None:
    first = run(capsys, name).splitlines()[0]
    assert first == f"{name}: {params} M parameters, {macs} G MACs for 1 s"


def total(costs: list[dict[str, int]]) -> dict[str, int]:
    return {unit: sum(each[unit] for each in costs) for unit in UNITS}


@pytest.mark.parametrize(
    "config",
    [*(tiny_config(*kind) for kind in KINDS), *(preset() for preset in PRESETS.values())],
)
def test_everything_sums(config: SSLConfig) -> None:
    for seconds in (1, 2.5):
        profile = profile_encoder(config, seconds)
        params, macs = count_params(config), count_macs(config, seconds)
        whole = {unit: profile[unit] for unit in UNITS}
        assert whole == {"params": params.total, "macs": macs.total}
        for part, costs in profile["parts"].items():
            assert costs == {"params": asdict(params)[part], "macs": asdict(macs)[part]}
        assert total(profile["parts"].values()) == whole
        assert total([*profile["layers"], profile["rest"]]) == whole
        assert total(profile["conv_layers"]) == profile["parts"]["conv"]


def test_a_layer_costs_what_its_modules_do() -> None:
    config = tiny_config()
    encoder = random_encoder(config)
    profile = profile_encoder(config, 1)
    for layers, found in (
        (encoder.layers, profile["layers"]),
        (encoder.front_end.conv_layers, profile["conv_layers"]),
    ):
        sizes = [sum(p.numel() for p in layer.parameters()) for layer in layers]
        assert sizes == [each["params"] for each in found]
    assert [(x["heads"], x["ffn"]) for x in profile["layers"]] == [(4, 12), (3, 9), (2, 11)]
    assert [x["channels"] for x in profile["conv_layers"]] == [6, 8, 7]
    frames = 799  # of 1 s, after convolutions of kernels 10, 3, 2 and strides 5, 2, 2
    assert profile["layers"][2]["macs"] == frames * (4 * 8 * 16 + 2 * frames * 8 + 2 * 16 * 11)
    assert profile["conv_layers"][2]["macs"] == frames * 2 * 8 * 7


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capsys, "wavlm_base_plus_s80", "--seconds", "8", "--json"))
    config = PRESETS["wavlm_base_plus_s80"]()
    assert found == {"model": "wavlm_base_plus_s80", **profile_encoder(config, 8)}
    assert all(type(found[unit]) is int for unit in UNITS)
    assert list(found) == [
        "model", "seconds", "num_heads", *UNITS, "parts", "layers", "rest", "conv_layers"
    ]  # fmt: skip


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    first, largest, *tables = run(capsys, "wavlm_base_plus_s80").splitlines()
    assert first.startswith("wavlm_base_plus_s80: 18.88 M")
    rows = {line.split()[0]: line.split()[1:] for line in tables[1:9]}
    config = PRESETS["wavlm_base_plus_s80"]()
    counted: dict[str, Any] = {"params": count_params(config), "macs": count_macs(config)}
    for part, cells in list(rows.items())[1:]:
        for unit, (count, share) in zip(UNITS, (cells[:2], cells[2:]), strict=True):
            number = getattr(counted[unit], part)
            assert float(count) == pytest.approx(
                number / {"params": 1e6, "macs": 1e9}[unit], abs=5.1e-4
            )
            assert float(share) == pytest.approx(100 * number / counted[unit].total, abs=0.051)
    assert largest == (
        f"Largest part of the parameters: ffn with {rows['ffn'][1]} %; "
        f"of the MACs: ffn with {rows['ffn'][3]} %"
    )
    assert "layer  heads of 12  FFN units" in "\n".join(tables)
    assert any(line.split()[:3] == ["9", "0", "80"] for line in tables)


def test_any_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tiny_config("hubert")
    random_encoder(config).save_pretrained(tmp_path)
    found = json.loads(run(capsys, str(tmp_path), "--json"))
    assert found == {"model": str(tmp_path), **profile_encoder(config, 1.0)}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["wavlm_huge"],
            "profile: wavlm_huge: expected whisper_tiny_en, .* found no such file or folder",
        ),
        (
            ["wavlm_base", "--seconds", "0.0249"],
            r"input of 0.025 s \(one frame\) to .*, found 0.0249 s",
        ),
        (["wavlm_base", "--seconds", "-1"], "found -1 s"),
        (["wavlm_base", "--seconds", "nan"], "found nan s"),
        (["wavlm_base", "--seconds", "inf"], "found inf s"),
        (["wavlm_base", "--seconds", "1e300"], r"found 1e\+300 s"),
    ],
)
def test_failure_is_one_message(arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        main(arguments)
    main(["wavlm_base", "--seconds", "0.025"])


@pytest.mark.parametrize("name", ["lfs_pointer.safetensors", "html_page.safetensors"])
def test_files_that_are_no_weights(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([str(CASES / name)])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("profile: ") and "expected a safetensors file, found a" in line
