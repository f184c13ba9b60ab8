"""The miniature AN4 that ESPnet carries, unpacked here; its audio is read as it is."""

from __future__ import annotations

import re
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

from egs3.mini_an4.esp2_asr.dataset import Dataset
from egs3.mini_an4.esp2_asr.dataset import DatasetBuilder as ESPnetBuilder

__all__ = ["Dataset", "DatasetBuilder"]

_ARCHIVE = "downloads.tar.gz"
_LINE = re.compile(r"(?:<s> )?(?P<words>.+?)(?: </s>)? \((?P<file>\S+)\)")


class DatasetBuilder(ESPnetBuilder):
    """ESPnet's, for which no program has to turn SPHERE files into others first."""

    def prepare_source(self, recipe_dir: str | Path, **_: Any) -> None:
        """Unpack the installed ESPnet's archive into ``downloads`` of ``recipe_dir``."""
        with resources.as_file(resources.files("egs3.mini_an4.esp2_asr") / _ARCHIVE) as archive:
            shutil.unpack_archive(archive, recipe_dir, filter="data")

    def build(self, recipe_dir: str | Path, **_: Any) -> None:
        """Write the manifests of ``train``, ``valid`` (its first utterance) and ``test``."""
        root = Path(recipe_dir).resolve()
        train = _entries(root / "downloads/an4", "an4_train", "an4_clstk")
        splits = {
            "train": train[1:],
            "valid": train[:1],
            "test": _entries(root / "downloads/an4", "an4_test", "an4test_clstk"),
        }
        folder = root / "data/manifest"
        folder.mkdir(parents=True, exist_ok=True)
        for split, lines in splits.items():
            (folder / f"{split}.tsv").write_text("".join(lines))


def _entries(corpus: Path, transcripts: str, audio: str) -> list[str]:
    """Lines of an utterance's name, file and words, sorted by speaker."""
    lines = (corpus / f"etc/{transcripts}.transcription").read_text().splitlines()
    found = filter(None, map(_LINE.fullmatch, lines))
    entries = []
    for words, name in (match.group("words", "file") for match in found):
        utterance, speaker, _ = name.split("-")
        entries.append(
            f"{speaker}-{utterance}\t{corpus}/wav/{audio}/{speaker}/{name}.sph\t{words}\n"
        )
    return sorted(entries)
