"""The files that a report is made of, and the recipe's stage that makes each of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from espnet_prune.data import DataError


@dataclass(frozen=True)
class ModelFiles:
    """What the recipe made of one diarization model."""

    model: Path  # its folder
    checkpoint: Path  # ESPnet's checkpoint.pth of its fine-tuning
    rttm: Path  # its turns for the test set
    scores: Path  # score_der --json of them
    variants: dict[str, Path]  # the same of inference by other configurations, by their names


@dataclass(frozen=True)
class Inputs:
    """All inputs of a report; None is what the recipe left out."""

    dense: ModelFiles
    pruned: ModelFiles
    prune: Path  # checkpoint.pth of distillation and pruning
    distill: Path | None  # that of the further distillation
    dense_continued: ModelFiles | None  # the dense model, trained on
    difference: Path  # compare_der --json of the two models
    reference: Path  # RTTM file of the test set
    uem: Path  # its scored regions


def find_inputs(exp: Path, data_dir: Path, name: str) -> Inputs:
    """Locate the results of the recipe in ``exp`` for the test set ``name`` in ``data_dir``.

    Raises:
        DataError: names every missing file and the stage that makes it.
    """
    missing: list[tuple[int, Path]] = []

    def made(stage: int, path: Path) -> Path:
        if not path.is_file():
            missing.append((stage, path))
        return path

    def model(stage: int, kind: str) -> ModelFiles:
        diarized = exp / f"diarized_{kind}"
        return ModelFiles(
            model=made(stage, exp / kind / "config.json").parent,
            checkpoint=made(stage, exp / f"{kind}_train" / "checkpoint.pth"),
            rttm=made(10, diarized / f"{name}.rttm"),
            scores=made(11, diarized / f"{name}.json"),
            variants={path.parent.name: path for path in sorted(diarized.glob(f"*/{name}.json"))},
        )

    further, continued = exp / "distill_train", exp / "dense_continued"
    inputs = Inputs(
        dense=model(5, "dense"),
        pruned=model(9, "pruned"),
        prune=made(6, exp / "prune_train" / "checkpoint.pth"),
        distill=made(8, further / "checkpoint.pth") if further.is_dir() else None,
        dense_continued=model(9, continued.name) if continued.is_dir() else None,
        difference=made(11, exp / "diarized_pruned" / f"{name}.difference.json"),
        reference=made(2, data_dir / "rttm"),
        uem=made(2, data_dir / "uem"),
    )
    if missing:
        raise DataError(
            *(
                f"{path}: expected this file for the report, found none; run stage {stage}"
                for stage, path in sorted(missing)
            )
        )
    return inputs
