"""A made-up recipe for every test that only reads it."""

from __future__ import annotations

import pytest

from espnet_prune.report.inputs import Inputs, find_inputs
from tests.report.recipe import make_recipe


@pytest.fixture(scope="package")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """The inputs of a report on a complete recipe."""
    folder = tmp_path_factory.mktemp("recipe")
    make_recipe(folder / "exp", folder / "test")
    return find_inputs(folder / "exp", folder / "test", "test")
