"""The encoder of a DiariZen release is the original's, layer by layer, or it is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from espnet_prune.encoder import PRESETS
from espnet_prune.formats import import_encoder
from espnet_prune.formats.diarizen import import_diarizen
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.tensors import save_file
from tests.formats.diarizen_format import Release
from tests.formats.parity import TOLERANCE, error

DENSE = (((0, 1, 2, 3), 12),) * 2


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path, "base")


@pytest.mark.parametrize("size", ["base", "large"])
@torch.no_grad()
def test_hidden_states_are_the_originals(tmp_path: Path, size: str) -> None:
    release = Release(tmp_path, size)
    encoder = import_diarizen(tmp_path)
    assert not encoder.training
    wavs = 0.3 + torch.randn(2, 24000, generator=torch.Generator().manual_seed(2))
    assert error(encoder(wavs).hidden_states, release.hidden_states(wavs)) <= TOLERANCE


def assert_same(path: str | Path, expected: dict[str, Tensor]) -> None:
    for import_ in (import_diarizen, import_encoder):
        found = import_(path).state_dict()
        assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_folder_and_files(release: Release) -> None:
    expected = import_diarizen(release.folder).state_dict()
    weights = release.folder / "pytorch_model.bin"
    assert_same(str(release.folder), expected)
    assert_same(weights, expected)
    save_file(release.state, release.folder / "model.safetensors")
    weights.write_bytes(b"not read")
    assert_same(release.folder, expected)


def test_parts_that_diarize_are_dropped(release: Release, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        import_diarizen(release.folder)
    for name in release.head:
        assert f"leaving out {name}, which diarizes" in caplog.text
    assert "[inference], [clustering] and plda belong to the original's" in caplog.text


def rename_source(release: Release, name: str) -> None:
    release.args["wavlm_src"] = name
    release.write()
    (release.folder / "wavlm.bin").unlink()


@pytest.mark.parametrize(
    "name, preset",
    [
        ("wavlm_base", "wavlm_base_plus"),
        ("wavlm_large", "wavlm_large"),
        ("wavlm_base_s80_md", "wavlm_base_plus_s80"),
        ("WavLM_Large_s80_md", "wavlm_large_s80"),
    ],
)
def test_published_shapes_go_by_name(
    release: Release, monkeypatch: pytest.MonkeyPatch, name: str, preset: str
) -> None:
    encoder = import_diarizen(release.folder)
    monkeypatch.setitem(PRESETS, preset, lambda: encoder.config)
    rename_source(release, name)
    assert_same(release.folder, encoder.state_dict())


def test_dense_shapes_are_told_by_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = Release(tmp_path, "base", DENSE)
    encoder = import_diarizen(tmp_path)
    monkeypatch.setitem(PRESETS, "wavlm_base_plus", lambda: encoder.config)
    rename_source(release, "/home/trainer/WavLM-Base+.bin")
    assert_same(tmp_path, encoder.state_dict())


def test_pruned_shapes_are_told_by_a_file(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = import_diarizen(release.folder)
    dense = encoder.config.dense(12)
    monkeypatch.setitem(PRESETS, "wavlm_base_plus", lambda: dense)
    rename_source(release, "/home/trainer/pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"found '/home/.*instead of.*its name there into"):
        import_diarizen(release.folder)
    file = release.folder / "trainer" / "pytorch_model.bin"
    file.parent.mkdir()
    torch.save({"state_dict": {}}, file)
    for name in ("trainer/pytorch_model.bin", str(file)):
        release.args["wavlm_src"] = name
        release.write()
        with pytest.raises(CheckpointError, match="bin: expected a WavLM file with 'config'"):
            import_diarizen(release.folder)
    torch.save({"config": release.config, "state_dict": {}}, file)
    assert_same(release.folder, encoder.state_dict())
    file.rename(release.folder / "wavlm.bin")
    release.args["wavlm_src"] = "/home/trainer/wavlm.bin"
    release.write()
    assert_same(release.folder, encoder.state_dict())


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda r: r.head.update(extra=torch.zeros(2)), "surplus: extra;"),
        (lambda r: r.encoder.update(extra=torch.zeros(2)), "surplus: extra;"),
        (lambda r: r.encoder.popitem(), "missing: encoder.transformer.layers.4"),
        (lambda r: r.args.update(channel_fusion_dim=256), "unknown key channel_fusion_dim"),
        (
            lambda r: r.args.update(num_layer="four"),
            "num_layer: expected a whole number, found 'four'",
        ),
        (lambda r: r.args.update(num_layer=True), "num_layer: expected a whole number, found True"),
    ],
)
def test_every_key_counts(
    release: Release, change: Callable[[Release], object], message: str
) -> None:
    change(release)
    release.write()
    with pytest.raises(CheckpointError, match=message):
        import_diarizen(release.folder)


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "config.toml: expected a TOML file, found none: No such file"),
        ("[model", "config.toml: expected a TOML file, found something else"),
        ("seed = 1", r"expected a table \[model\] with path = .* found None"),
        ("model = 1", r"expected a table \[model\] with path = .* found 1"),
        ("[model]\npath = 'a.model_wavlm_conformer_mc.Model'", "found .*_mc.Model"),
    ],
)
def test_other_configs_are_refused(release: Release, text: str | None, message: str) -> None:
    config = release.folder / "config.toml"
    config.unlink() if text is None else config.write_text(text)
    for path in (release.folder, release.folder / "pytorch_model.bin"):
        with pytest.raises(CheckpointError, match=message):
            import_diarizen(path)


def test_arguments_are_a_table(release: Release) -> None:
    config = release.folder / "config.toml"
    config.write_text(config.read_text().split("[model.args]")[0] + "args = 1")
    with pytest.raises(
        CheckpointError, match=r"\[model.args\]: .*expected values by name, found 1"
    ):
        import_diarizen(release.folder)


def test_old_pythons_need_tomli(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tomllib", None)
    monkeypatch.setitem(sys.modules, "tomli", None)
    with pytest.raises(CheckpointError, match="pip install tomli"):
        import_diarizen(release.folder)


def test_other_weights_are_refused(release: Release) -> None:
    torch.save([1, 2], release.folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="expected tensors by name, found list"):
        import_diarizen(release.folder)
    (release.folder / "pytorch_model.bin").unlink()
    with pytest.raises(CheckpointError, match="pytorch_model.bin"):
        import_diarizen(release.folder)
