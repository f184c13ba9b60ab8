"""A missing input is named, with the stage that makes it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from espnet_prune.data import DataError
from espnet_prune.report.inputs import Inputs, find_inputs

STAGES = {
    "test/rttm": 2,
    "test/uem": 2,
    "exp/dense_train/checkpoint.pth": 5,
    "exp/dense/config.json": 5,
    "exp/prune_train/checkpoint.pth": 6,
    "exp/distill_train/checkpoint.pth": 8,
    "exp/pruned_train/checkpoint.pth": 9,
    "exp/pruned/config.json": 9,
    "exp/diarized_dense/test.rttm": 10,
    "exp/diarized_pruned/test.rttm": 10,
    "exp/diarized_dense/test.json": 11,
    "exp/diarized_pruned/test.json": 11,
    "exp/diarized_pruned/test.difference.json": 11,
}


@pytest.fixture
def recipe(inputs: Inputs, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(inputs.reference.parents[1], tmp_path / "recipe"))


@pytest.mark.parametrize("name", STAGES)
def test_missing_file_is_named_with_its_stage(recipe: Path, name: str) -> None:
    (recipe / name).unlink()
    with pytest.raises(DataError) as error:
        find_inputs(recipe / "exp", recipe / "test", "test")
    (problem,) = error.value.args
    assert problem.startswith(f"{recipe / name}: ")
    assert problem.endswith(f"run stage {STAGES[name]}")


def test_every_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        find_inputs(tmp_path / "exp", tmp_path / "test", "test")
    assert len(error.value.args) == len(STAGES) - 1


def test_recipe_without_further_distillation(recipe: Path) -> None:
    shutil.rmtree(recipe / "exp" / "distill_train")
    assert find_inputs(recipe / "exp", recipe / "test", "test").distill is None


def test_variants_of_inference(recipe: Path) -> None:
    scores = recipe / "exp" / "diarized_pruned" / "test.json"
    for name in ("ssl/test.json", "ssl/other.json", "head/other.json"):
        path = scores.parent / name
        path.parent.mkdir(exist_ok=True)
        shutil.copy(scores, path)
    found = find_inputs(recipe / "exp", recipe / "test", "test")
    assert found.pruned.variants == {"ssl": scores.parent / "ssl/test.json"}
    assert found.dense.variants == {}
