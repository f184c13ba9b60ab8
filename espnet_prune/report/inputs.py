"""The files that a report is made of, and the recipe's stage that makes each of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from espnet_prune.data import DataError


@dataclass(frozen=True)
class ModelFiles:
    """What the recipe made of one model.

    Attributes:
        model: folder of the diarization model.
        checkpoint: ESPnet's ``checkpoint.pth`` of its fine-tuning.
        rttm: its turns for the test set.
        scores: ``score_der --json`` of them.
        variants: the same of inference by other configurations, by their names.
    """

    model: Path
    checkpoint: Path
    rttm: Path
    scores: Path
    variants: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Inputs:
    """All inputs of a report.

    Attributes:
        dense, pruned: the two models.
        prune: ``checkpoint.pth`` of distillation and pruning.
        distill: ``checkpoint.pth`` of the further distillation; None for a recipe without it.
        dense_continued: the dense model, trained on; None for a recipe without it.
        difference: ``compare_der --json`` of the two models.
        reference: RTTM file of the test set.
        uem: its scored regions.
    """

    dense: ModelFiles
    pruned: ModelFiles
    prune: Path
    distill: Path | None
    dense_continued: ModelFiles | None
    difference: Path
    reference: Path
    uem: Path


def find_inputs(exp: Path, data_dir: Path, name: str) -> Inputs:
    """Locate the results of the recipe in ``exp`` for the test set ``name`` in ``data_dir``.

    Raises:
        DataError: names every missing file and the stage that makes it.
    """
    distill = exp / "distill_train"
    inputs = Inputs(
        dense=_model_files(exp, "dense", name),
        pruned=_model_files(exp, "pruned", name),
        prune=exp / "prune_train" / "checkpoint.pth",
        distill=distill / "checkpoint.pth" if distill.is_dir() else None,
        dense_continued=_model_files(exp, "dense_continued", name)
        if (exp / "dense_continued").is_dir()
        else None,
        difference=exp / "diarized_pruned" / f"{name}.difference.json",
        reference=data_dir / "rttm",
        uem=data_dir / "uem",
    )
    problems = [
        f"{path}: expected this file for the report, found none; run stage {stage}"
        for path, stage in _stages(inputs)
        if not path.is_file()
    ]
    if problems:
        raise DataError(*problems)
    return inputs


def _model_files(exp: Path, model: str, name: str) -> ModelFiles:
    return ModelFiles(
        model=exp / model,
        checkpoint=exp / f"{model}_train" / "checkpoint.pth",
        rttm=exp / f"diarized_{model}" / f"{name}.rttm",
        scores=exp / f"diarized_{model}" / f"{name}.json",
        variants={
            path.parent.name: path
            for path in sorted((exp / f"diarized_{model}").glob(f"*/{name}.json"))
        },
    )


def _stages(inputs: Inputs) -> list[tuple[Path, int]]:
    models = [(inputs.dense, 5), (inputs.pruned, 9)]
    if inputs.dense_continued:
        models.append((inputs.dense_continued, 9))
    return [
        (inputs.reference, 2),
        (inputs.uem, 2),
        *((path, stage) for files, stage in models
          for path in (files.checkpoint, files.model / "config.json")),
        (inputs.prune, 6),
        *([(inputs.distill, 8)] if inputs.distill else []),
        *((files.rttm, 10) for files, _ in models),
        *((files.scores, 11) for files, _ in models),
        (inputs.difference, 11),
    ]  # fmt: skip
