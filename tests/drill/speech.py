"""Rows of kill -9 in a training stage of the speech recipes, on a corpus of noise."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.drill.recipe import Reference, Run, artefacts, copy, until
from tests.drill.rows import Row, wrong
from tests.egs2.noise_recipe import make_recipe

_SMALL = "--num_workers 0 --batch_bins 160000 --max_epoch 3 --num_iters_per_epoch 8"
_PRUNING = "--pruning_conf target=0.3 --pruning_conf warmup_steps=4 "
_PRUNING += f"--distill_conf layers=[0,3] --distill_conf projection_groups=[[0],[3]] {_SMALL}"
# The recipe, its script, the stage that trains, the folder of that and further options.
RECIPES = {
    "asr": (
        "mini_speech/asr_prune1",
        "asr.sh",
        5,
        "dense_train",
        ["--test_sets", "dev", "--asr_args", _SMALL],
    ),
    "ssl": (
        "mini_speech/ssl_prune1",
        "ssl.sh",
        4,
        "prune_train",
        ["--min_seconds", "0.5", "--pruning_args", _PRUNING],
    ),
}


@contextmanager
def _running(folder: Path, script: str, stages: tuple[int, int], options: list[str]):
    bounds = ["--stage", str(stages[0]), "--stop_stage", str(stages[1]), "--python", sys.executable]
    run = Run(folder, [f"./{script}", "--ssl_model", "dense", *bounds, *options])
    try:
        yield run
    finally:
        run.end()


def _killed(reference: Reference, name: str) -> str:
    recipe, script, stage, training, options = RECIPES[name]
    before = reference.work / f"speech_{name}"
    shutil.rmtree(before, ignore_errors=True)
    # Paths of the corpus are absolute, so the folder keeps its name.
    folder = make_recipe(before, recipe, script)
    with _running(folder, script, (1, stage - 1), options) as run:
        if run.wait():
            return run.said[-300:]
    kept = copy(folder, before.with_name(f"{before.name}_kept"))
    with _running(folder, script, (stage, stage), options) as run:
        if run.wait():
            return run.said[-300:]
    expected = artefacts(folder)
    copy(kept, folder)
    with _running(folder, script, (stage, stage), options) as run:
        hit = until((folder / "exp" / training / "1epoch.pth").exists, run)
        run.kill()
    with _running(folder, script, (stage, stage), options) as run:
        status, said = run.wait(), run.said
    found = artefacts(folder)
    differ = [n for n in sorted(expected.keys() | found.keys()) if expected.get(n) != found.get(n)]
    return wrong(hit=hit, again=said[-300:] if status else "", other_artefacts=", ".join(differ))


ROWS = [
    Row(f"kill {name}", "the next call gives the same artefacts", partial(_killed, name=name), True)
    for name in RECIPES
]
