"""An ESPnet checkout with the recipes in it, once for all; what writes has a recipe of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.egs2.espnet_checkout import make_checkout, put_recipes


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_checkout(tmp_path_factory.mktemp("espnet"))
    put_recipes(folder, tmp_path_factory.mktemp("espnet_prune"))
    return folder
