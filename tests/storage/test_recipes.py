"""Recipes are files of the package: each names itself, can be a base, and is in the wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet_prune.encoder import ConfigError
from espnet_prune.storage.config_files import read_yaml
from espnet_prune.storage.recipes import recipe_names, recipe_path

pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_names_itself_and_prunes(name):
    values = read_yaml(recipe_path(name))
    assert values["recipe"] == name and 0 < values["pruning_conf"]["target"] < 1


def test_bases_lie_over_each_other(tmp_path):
    (tmp_path / "a.yaml").write_text("seed: 1\nkeep_nbest_models: 7\npruning_conf: {target: 0.9}\n")
    (tmp_path / "b.yaml").write_text(
        "base: [a.yaml, 'recipe:hj_mac']\npruning_conf: {gate_lr: 1}\n"
    )
    recipe = read_yaml(recipe_path("hj_mac"))
    found = read_yaml(tmp_path / "b.yaml")
    assert found == {**recipe, "seed": 1, "pruning_conf": {**recipe["pruning_conf"], "gate_lr": 1}}


@pytest.mark.parametrize("base", ["recipe:nothing", "3", "[3]", "{a: b}"])
def test_wrong_bases_are_refused(tmp_path, base):
    (tmp_path / "a.yaml").write_text(f"base: {base}\n")
    with pytest.raises(ConfigError, match=r"a.yaml: base: expected (a recipe of|the path)"):
        read_yaml(tmp_path / "a.yaml")


def test_the_wheel_has_them(monkeypatch):
    setuptools = pytest.importorskip("setuptools")
    monkeypatch.chdir(ROOT)
    distribution = setuptools.Distribution()
    distribution.parse_config_files(["setup.cfg"])
    build = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    files = {name for package, *_, names in build.data_files for name in names}
    assert {f"recipes/{name}.yaml" for name in recipe_names()} <= files
