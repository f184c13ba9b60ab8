"""From a training to what it made, cut to its final shape: a folder that needs none of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from espnet2.tasks.abs_task import AbsTask

from espnet_prune.diarization.inference_config import HEAD
from espnet_prune.encoder import ConfigError, SSLEncoder
from espnet_prune.espnet.distillation_task import DistillationTask, ESPnetDistillationModel
from espnet_prune.espnet.embedding_task import EmbeddingTask, ESPnetEmbeddingModel
from espnet_prune.espnet.frontend import PrunedSSLFrontend
from espnet_prune.espnet.objective import OPTIONS, EncoderObjective
from espnet_prune.espnet.powerset_task import ESPnetPowersetModel, PowersetDiarizationTask
from espnet_prune.espnet.pruned_tasks import PrunedASRTask, PrunedDiarizationTask, PrunedSLUTask
from espnet_prune.formats.espnet import CONFIG, load_trained, read_config
from espnet_prune.pruning import Pruner, count_macs, thresholds
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.files import atomic_file, atomic_write

ENCODER, WEIGHTS = "encoder", "model.pth"
# Options that ESPnet's own commands do not have, and those that name files of the dense model.
_DROPPED = (*OPTIONS, "ssl_lr", "grad_clip_percentile", "grad_clip_history", "init_param")


def apply_trained(model_file: Path, output: Path, round_to: int = 1) -> None:
    """Write what a training of this project made, without gates: a folder complete by itself.

    Args:
        model_file: weights that the training wrote, its ``config.yaml`` beside them.
        output: folder to write.
        round_to: what the widths of convolutions and FFNs are made multiples of.

    Raises:
        BudgetMissed: the training ended away from a target.
        CheckpointError: no file of a training of ours.
        ValueError: a multiple for gates that leave widths alone.
    """
    config = read_config(model_file)
    kinds = [kind for option, kind in _KINDS.items() if option in config]
    if not kinds:
        raise CheckpointError(
            f"{model_file.with_name(CONFIG)}: expected the configuration of a training command of "
            "this project (espnet_prune.bin.*_train), found that of another task"
        )
    task, write = kinds[0]
    write(load_trained(task, model_file), config, output, round_to)


def _write_encoder(
    model: ESPnetDistillationModel, _: dict[str, Any], output: Path, round_to: int
) -> None:
    _save_cut(model.student, model.objective, output, round_to)


def _write_diarizer(
    model: ESPnetPowersetModel, _: dict[str, Any], output: Path, round_to: int
) -> None:
    """The whole model, and its encoder alone in ``encoder``."""
    encoder = model.featurizer.encoder
    small = _save_cut(encoder, model.objective, output / ENCODER, round_to)
    model.featurizer.encoder = small
    model.model.save_pretrained(output)


def _write_head(model: ESPnetEmbeddingModel, _: dict[str, Any], output: Path, __: int) -> None:
    model.head.save_pretrained(output / HEAD)


def _write_task(model: Any, config: dict[str, Any], output: Path, round_to: int) -> None:
    """``encoder/``, ``model.pth`` and ``config.yaml`` as ESPnet's own task loads them.

    The config comes last, so that a folder with one is whole.
    """
    frontend = getattr(model, "frontend", None)
    if not isinstance(frontend, PrunedSSLFrontend):
        raise ConfigError(
            f"expected frontend: pruned_ssl in the training's {CONFIG}, found another; there is no "
            "encoder to cut"
        )
    small = _save_cut(frontend.ssl_encoder, frontend.objective, output / ENCODER, round_to)
    frontend.featurizer.encoder, frontend.objective = small, None
    with atomic_file(output / WEIGHTS) as file:
        torch.save(model.state_dict(), file)
    kept = {key: value for key, value in config.items() if key not in _DROPPED}
    kept["frontend_conf"] = {**config["frontend_conf"], "model": str(output / ENCODER)}
    atomic_write(output / CONFIG, yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))
    total = sum(parameter.numel() for parameter in model.parameters())
    print(f"{output}: {total} parameters with the task's own layers")


# By an option that none of the later trainings has.
_KINDS: dict[str, tuple[type[AbsTask], Callable[[Any, dict[str, Any], Path, int], None]]] = {
    "student": (DistillationTask, _write_encoder),
    "diarization_conf": (PowersetDiarizationTask, _write_diarizer),
    "speaker_weight": (EmbeddingTask, _write_head),
    "label_aggregator": (PrunedDiarizationTask, _write_task),
    "deliberationencoder": (PrunedSLUTask, _write_task),
    "token_list": (PrunedASRTask, _write_task),
}


def _save_cut(
    encoder: SSLEncoder, objective: EncoderObjective | None, folder: Path, round_to: int
) -> SSLEncoder:
    """``encoder`` cut by the gates of ``objective``, if it has any, and saved."""
    pruner = objective.pruner if objective else None
    small = _cut(pruner, encoder, round_to) if pruner else encoder
    small.save_pretrained(folder, sparse=pruner is not None and pruner.gates.sparse)
    return small


def _cut(pruner: Pruner, encoder: SSLEncoder, round_to: int) -> SSLEncoder:
    """``encoder`` cut by its trained gates; says how small it becomes, by which thresholds."""
    exact = pruner.apply_to(encoder)
    dense, kept = _size(encoder), _size(exact, pruner.gates.sparse)
    macs = [count_macs(e.config, pruner.config.reference_seconds).total for e in (encoder, exact)]
    print(f"{dense} -> {kept} parameters, sparsity {1 - kept / dense:.4f}")
    print(f"{macs[0]} -> {macs[1]} MACs of {pruner.config.reference_seconds:g} s of audio")
    for layer, threshold in thresholds(pruner).items():
        print(f"  threshold {threshold:.3e} of {layer}")
    if round_to == 1:
        return exact
    rounded = pruner.apply_to(encoder, round_to)
    size = _size(rounded)
    print(
        f"widths rounded to multiples of {round_to}: {size - kept:+d} parameters "
        f"({size / kept - 1:+.2%}), sparsity {1 - size / dense:.4f}"
    )
    return rounded


def _size(encoder: SSLEncoder, sparse: bool = False) -> int:
    """Number of parameters; with ``sparse``, of those that are not zero."""
    parameters = encoder.parameters()
    return sum(int(p.count_nonzero()) if sparse else p.numel() for p in parameters)
