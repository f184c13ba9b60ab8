"""Rows of changed options: what runs again, what is refused in a training that has begun."""

from __future__ import annotations

import shlex
import shutil
from functools import partial
from importlib import import_module
from pathlib import Path

from espnet_prune.storage.tensors import load_file, save_file
from tests.drill.forked import forked
from tests.drill.recipe import FOLDER, OPTIONS, Reference, call, running, until
from tests.drill.rows import Row, folder_of, wrong


def _skipped(said: str) -> bool:
    return "finished already" in said


def _begun(folder: Path, stage: int) -> bool:
    """Whether the record of a finished stage says that it has begun again."""
    return (folder / f"exp/.stages/{stage}.done").read_text().startswith("begun")


def _runs_again(reference: Reference, stage: int, options: dict[str, str]) -> str:
    folder = folder_of(reference, f"option {stage} {'_'.join(options)}", stage)
    _, same = call(folder, stage)
    with running(folder, stage, **options) as run:
        begun = until(partial(_begun, folder, stage), run)
    return wrong(first_skipped=_skipped(same), run_again=begun)


def _killed_then(reference: Reference, name: str, stage: int, options: dict[str, str]) -> str:
    """Killed after an epoch; with other options the stage equals an undisturbed one with these."""
    folder, clean = (folder_of(reference, f"{name} {i}", stage - 1) for i in "ab")
    with running(folder, stage) as run:
        hit = until((folder / "exp" / FOLDER[stage] / "1epoch.pth").exists, run)
        run.kill()
    other = Reference(reference.work)
    other.folder = clean.with_suffix(".snap")
    expected, _ = call(clean, stage, **options)
    shutil.rmtree(other.folder, ignore_errors=True)
    other.folder.mkdir()
    clean.rename(other.folder / str(stage))
    status, said = call(folder, stage, **options)
    if status == 2:  # refused in words is right as well
        return wrong(hit=hit, refusal_in_words="Traceback" not in said)
    changes = other.changes(folder, stage)
    return wrong(hit=hit, succeeds=status == expected == 0, as_if_undisturbed=changes)


def _comment(reference: Reference, stage: int) -> str:
    folder = folder_of(reference, "comment", stage)
    for path in (folder / "conf").glob("*.yaml"):
        path.write_text("# A remark.\n" + path.read_text())
    _, said = call(folder, stage)
    return wrong(skipped=_skipped(said))


def _model_changed(reference: Reference) -> str:
    folder = folder_of(reference, "other weights", 3)
    model = folder / "model"
    shutil.copytree(folder / OPTIONS["ssl_model"], model)
    call(folder, 4, ssl_model="model")
    state = load_file(model / "model.safetensors")
    save_file({k: 1.5 * v for k, v in state.items()}, model / "model.safetensors")
    _, said = call(folder, 4, ssl_model="model")
    return wrong(run_again=not _skipped(said))


def _resumed(reference: Reference, stage: int, words: str, allowed: bool) -> str:
    """A training command with an epoch more, its checkpoint there, and other options."""
    folder = folder_of(reference, f"resume {stage} {abs(hash(words))}", stage)
    log = folder / "exp" / FOLDER[stage] / "train.log"
    first = next(line for line in log.read_text().splitlines() if "_train " in line)
    command = shlex.split(first.lstrip("# "))
    verb = next(word.rpartition(".")[2] for word in command if word.endswith("_train"))
    command = command[[word.endswith(verb) for word in command].index(True) + 1 :]
    more = ["--max_epoch", "4"] if allowed or "max_epoch" not in words else []
    main = import_module(f"espnet_prune.bin.{verb}").main
    outcome = forked(main, [*command, *more, *shlex.split(words)], folder=folder, limit=120)
    if allowed:
        return wrong(goes_on=outcome.status == 0, fault=outcome.fault)
    return wrong(refused=outcome.status == 2, fault=outcome.fault)


_PRUNING, _TRAIN = OPTIONS["pruning_args"], OPTIONS["train_args"]
_HEAD = "head={hidden: 48, num_layers: 1, num_heads: 2, ffn: 32, kernel: 7, dropout: 0.1}"
_AGAIN = (
    *((k, {"train_set": "dev"}) for k in (5, 6, 8, 9)),
    *((k, {"window_size": "1"}) for k in (5, 9)),
    *((k, {"valid_set": "train"}) for k in (5, 6)),
    (8, {"inference_model": "valid.loss.best.pth"}),
    (11, {"seed": "5"}),
    (12, {"collar": "0.25"}),
)
_KILLED = (
    (5, {"train_args": _TRAIN.replace("batch_size 2", "batch_size 4")}),
    (5, {"train_args": _TRAIN.replace("num_workers 0", "num_workers 1")}),
    (6, {"pruning_args": _PRUNING.replace("target=0.5", "target=0.3")}),
)
_RESUMED = (
    (5, "--batch_size 4", False),
    (5, "--optim_conf lr=1.0e-2", False),
    (5, "--ssl_lr 5.0e-3", False),
    (5, "--optim sgd --optim_conf lr=0.01", False),
    (5, f"--diarization_conf '{_HEAD}'", False),
    (6, "--pruning_conf target=0.8", False),
    (6, "--pruning_conf units=[conv]", False),
    (6, "--pruning_conf gate_lr=0.01", False),
    (6, "--teacher exp/ssl", False),
    (5, "--num_workers 1 --log_interval 1", True),
)
ROWS = [
    *(
        Row(
            f"option {' '.join(o)} {k}",
            "the stage runs again",
            partial(_runs_again, stage=k, options=o),
        )
        for k, o in _AGAIN
    ),
    *(
        Row(
            f"option killed {i}",
            "afresh with the new options, or refused",
            partial(_killed_then, name=f"killed {i}", stage=k, options=o),
        )
        for i, (k, o) in enumerate(_KILLED)
    ),
    Row("option comment", "a comment in a config: nothing runs again", partial(_comment, stage=5)),
    Row("option model weights", "other weights in --ssl_model: runs again", _model_changed),
    *(
        Row(
            f"resume {words.split(' ', 1)[1] if k == 6 else words}",
            "goes on" if allowed else "refused with 2 in words",
            partial(_resumed, stage=k, words=words, allowed=allowed),
        )
        for k, words, allowed in _RESUMED
    ),
]
