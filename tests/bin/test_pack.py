"""Only a model's own files are packed."""

from __future__ import annotations

import zipfile

import pytest

from espnet_prune.bin import pack

KINDS = {
    "ours": (
        "config.json",
        "model.safetensors",
        "encoder/config.json",
        "encoder/model.safetensors",
    ),
    "ESPnet's": ("config.yaml", "model.pth", "results.json", "encoder/config.json"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_leftovers_stay_out(tmp_path, kind):
    model = tmp_path / "pruned"
    others = (".model.safetensors.x.tmp", "encoder/.config.json.y.tmp", "notes", ".made_by_recipe")
    for name in (*KINDS[kind], *others, "decoded/test/text"):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text(name)
    (tmp_path / "RESULTS.md").touch()
    pack.main([str(model), str(tmp_path / "RESULTS.md"), "--output", str(tmp_path / "p.zip")])
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        assert set(archive.namelist()) == {*(f"pruned/{f}" for f in KINDS[kind]), "RESULTS.md"}


def test_packs_into_a_device(tmp_path):
    (tmp_path / "config.json").touch()
    pack.main([str(tmp_path), "--output", "/dev/null"])
