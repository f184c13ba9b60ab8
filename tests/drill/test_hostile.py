"""Quick rows: hostile files by kind, and a share of the fuzz."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("espnet2")

from tests.drill import hostile, inputs
from tests.drill.fuzz import fuzz


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inputs.build(tmp_path_factory.mktemp("drill") / "inputs")


@pytest.mark.parametrize("kind", ["pickles", "arrays", "safetensors", "audio"])
def test_hostile_files(kind: str, built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "hostile", symlinks=True)
    assert [*hostile.faults(kind, tmp_path / "hostile")] == []


QUICK = sorted(verb for verb in inputs.COMMANDS if not verb.startswith("run_bench"))


@pytest.mark.parametrize("verb", QUICK)
def test_fuzz(verb: str, built: Path, tmp_path: Path) -> None:
    faults = [case for case in fuzz(verb, built, tmp_path, 3, 0.5) if case.outcome.fault]
    assert [(case.words, case.done, case.outcome.said) for case in faults] == []


def test_every_verb_has_a_valid_command(built: Path) -> None:
    assert set(inputs.modules()) == {verb.partition("@")[0] for verb in inputs.COMMANDS}
