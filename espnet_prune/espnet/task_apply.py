"""From a task's training with gates to a folder that ESPnet's own commands load."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import yaml
from espnet2.tasks.abs_task import AbsTask
from espnet2.tasks.asr import ASRTask
from espnet2.tasks.diar import DiarizationTask
from espnet2.tasks.slu import SLUTask

from espnet_prune.encoder import SSLEncoder
from espnet_prune.espnet.pruned_tasks import PrunedASRTask, PrunedDiarizationTask, PrunedSLUTask
from espnet_prune.espnet.task_pruning import PRUNING_OPTIONS
from espnet_prune.formats.espnet import CONFIG, read_config
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.checkpoint import load_strictly
from espnet_prune.storage.files import atomic_file, atomic_write

ENCODER, WEIGHTS = "encoder", "model.pth"
_FRONTEND = "frontend.featurizer.encoder."
_OBJECTIVE = "frontend.objective."
# Options that ESPnet's own commands do not have, and those that name files of the dense model.
_DROPPED = (
    *PRUNING_OPTIONS,
    "teacher_precision",
    "grad_clip_percentile",
    "grad_clip_history",
    "init_param",
)
# An option that the later tasks have not.
_TASKS: dict[str, tuple[type[AbsTask], type[AbsTask]]] = {
    "label_aggregator": (PrunedDiarizationTask, DiarizationTask),
    "deliberationencoder": (PrunedSLUTask, SLUTask),
    "token_list": (PrunedASRTask, ASRTask),
}


def task_of(model_file: Path) -> tuple[type[AbsTask], type[AbsTask]]:
    """The task that wrote ``model_file``: this project's class and ESPnet's own.

    Raises:
        CheckpointError: another task's file, or none.
    """
    config = read_config(model_file)
    for option, tasks in _TASKS.items():
        if option in config:
            return tasks
    raise CheckpointError(
        f"{model_file.with_name(CONFIG)}: expected the configuration of asr_train, slu_train "
        "or diar_train, found that of another task; apply_pruning cuts what distill_train wrote"
    )


def write_applied(
    folder: Path,
    model: torch.nn.Module,
    encoder: SSLEncoder,
    model_file: Path,
    sparse: bool = False,
) -> torch.nn.Module:
    """Write ``encoder/``, ``model.pth`` and ``config.yaml``: an ESPnet model without gates.

    Args:
        folder: what to write; the config comes last, so that a folder with one is whole.
        model: the trained model that has ``encoder``, cut or not, in its front end.
        encoder: takes the place of the one in ``model``.
        model_file: of the training, its config beside it.
        sparse: leave zeros out of the files in ``encoder/``.

    Returns:
        The plain ESPnet model, loaded strictly.
    """
    encoder.save_pretrained(folder / ENCODER, sparse=sparse)
    config = {k: v for k, v in read_config(model_file).items() if k not in _DROPPED}
    config["frontend_conf"] = {**config["frontend_conf"], "model": str(folder / ENCODER)}
    state = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith((_FRONTEND, _OBJECTIVE))
    }
    state |= {f"{_FRONTEND}{name}": tensor for name, tensor in encoder.state_dict().items()}
    _, task = task_of(model_file)
    # Some of ESPnet's tasks write into the namespace that they build from.
    plain = task.build_model(argparse.Namespace(**config))
    load_strictly(plain, state, folder / WEIGHTS)
    with atomic_file(folder / WEIGHTS) as file:
        torch.save(plain.state_dict(), file)
    atomic_write(folder / CONFIG, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    return plain.eval()
