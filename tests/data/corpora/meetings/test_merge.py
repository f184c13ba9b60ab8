"""Merged data directories keep every recording, turn and region; names must not clash."""

from __future__ import annotations

from pathlib import Path

import pytest

from espnet_prune.data.corpora.meetings import prepare
from espnet_prune.data.meetings import merge_data_dirs, read_data_dir, scored_regions
from espnet_prune.data.tables import DataError
from tests.data.corpora.meetings.trees import make_tree, miniature


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Make data directories of two corpora."""
    for name in ("ami", "alimeeting"):
        corpus = make_tree(name, tmp_path / name)
        prepare(miniature(name), [corpus], tmp_path / "data" / name)
    return tmp_path / "data"


def test_union(data: Path) -> None:
    # A directory without UEM is scored entirely.
    (data / "alimeeting" / "test" / "uem").unlink()
    folders = [data / "ami" / "test", data / "alimeeting" / "test"]
    assert merge_data_dirs(folders, data / "test") == 2
    merged = read_data_dir(data / "test")
    parts = [read_data_dir(folder) for folder in folders]
    for recording, part in (("EN2002a", parts[0]), ("R8002_M8002_MS802", parts[1])):
        assert merged.wavs[recording] == part.wavs[recording]
        assert merged.turns[recording] == part.turns[recording]
        assert merged.uem[recording] == scored_regions(part)[recording]
    assert merged.uem["EN2002a"][0].end == 0.75


def test_clashing_names(data: Path) -> None:
    folders = [data / "ami" / "train", data / "ami" / "dev", data / "ami" / "train"]
    with pytest.raises(DataError, match="found 2 of the same name: ES2010d, TS3005a; rename"):
        merge_data_dirs(folders, data / "train")
    assert not (data / "train").exists()
