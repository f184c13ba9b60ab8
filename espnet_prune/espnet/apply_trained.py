"""From a training to what it made, cut to its final shape: a folder that needs none of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from espnet2.tasks.abs_task import AbsTask
from espnet2.tasks.asr import ASRTask
from espnet2.tasks.diar import DiarizationTask
from espnet2.tasks.slu import SLUTask

from espnet_prune.diarization.inference_config import HEAD
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import ConfigError, Featurizer, SSLEncoder
from espnet_prune.espnet.distillation_model import ESPnetDistillationModel
from espnet_prune.espnet.distillation_task import DistillationTask
from espnet_prune.espnet.embedding_model import ESPnetEmbeddingModel
from espnet_prune.espnet.embedding_task import EmbeddingTask
from espnet_prune.espnet.frontend import PrunedSSLFrontend
from espnet_prune.espnet.objective import OPTIONS, EncoderObjective
from espnet_prune.espnet.powerset_model import ESPnetPowersetModel
from espnet_prune.espnet.powerset_task import PowersetDiarizationTask
from espnet_prune.espnet.pruned_tasks import PrunedASRTask, PrunedDiarizationTask, PrunedSLUTask
from espnet_prune.formats.espnet import CONFIG, load_trained, read_config
from espnet_prune.pruning import Pruner, count_macs, thresholds
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.checkpoint import load_strictly
from espnet_prune.storage.files import atomic_file, atomic_write

ENCODER, WEIGHTS = "encoder", "model.pth"
_FRONTEND = "frontend.featurizer.encoder."
_OBJECTIVE = "frontend.objective."
# Options that ESPnet's own commands do not have, and those that name files of the dense model.
_DROPPED = (*OPTIONS, "ssl_lr", "grad_clip_percentile", "grad_clip_history", "init_param")


class Trained(NamedTuple):
    """What a training left, and what is asked of it.

    Attributes:
        model: with weights, in eval mode.
        model_file: they came from, its config beside it.
        output: folder to write.
        round_to: what widths are made multiples of.
    """

    model: Any
    model_file: Path
    output: Path
    round_to: int

    def cut(self, objective: EncoderObjective | None, encoder: SSLEncoder) -> SSLEncoder:
        """``encoder`` cut by the gates of ``objective``, if it has any."""
        pruner = objective.pruner if objective else None
        return cut(pruner, encoder, self.round_to) if pruner else encoder


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
    write(Trained(load_trained(task, model_file), model_file, output, round_to))


def cut(pruner: Pruner, encoder: SSLEncoder, round_to: int = 1) -> SSLEncoder:
    """``encoder`` cut by its trained gates; says how small it becomes, by which thresholds.

    Raises:
        BudgetMissed: training ended away from a target.
        ValueError: a multiple for gates that leave widths alone.
    """
    sparse = pruner.gates.sparse
    exact = pruner.apply_to(encoder)
    dense, kept = _size(encoder), _size(exact, sparse)
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


def _is_sparse(objective: EncoderObjective | None) -> bool:
    pruner = objective.pruner if objective else None
    return pruner is not None and pruner.gates.sparse


def _write_encoder(trained: Trained) -> None:
    model: ESPnetDistillationModel = trained.model
    encoder = trained.cut(model.objective, model.student)
    encoder.save_pretrained(trained.output, sparse=_is_sparse(model.objective))


def _write_diarizer(trained: Trained) -> None:
    """The whole model, and its encoder alone in ``encoder``."""
    model: ESPnetPowersetModel = trained.model
    encoder = trained.cut(model.objective, model.model.encoder)
    diarizer = DiarizationModel(Featurizer(encoder), model.model.config)
    ours = "featurizer.encoder."
    state = {k: v for k, v in model.model.state_dict().items() if not k.startswith(ours)}
    state |= {f"{ours}{name}": tensor for name, tensor in encoder.state_dict().items()}
    load_strictly(diarizer, state, trained.model_file)
    encoder.save_pretrained(trained.output / ENCODER, sparse=_is_sparse(model.objective))
    diarizer.save_pretrained(trained.output)


def _write_head(trained: Trained) -> None:
    model: ESPnetEmbeddingModel = trained.model
    model.head.save_pretrained(trained.output / HEAD)


def _task_writer(plain_task: type[AbsTask]) -> Callable[[Trained], None]:
    """What writes ``encoder/``, ``model.pth`` and ``config.yaml`` as ESPnet's own task loads them.

    The config comes last, so that a folder with one is whole.
    """

    def write(trained: Trained) -> None:
        model, output = trained.model, trained.output
        if not isinstance(getattr(model, "frontend", None), PrunedSSLFrontend):
            raise ConfigError(
                f"{trained.model_file.with_name(CONFIG)}: expected frontend: pruned_ssl, found "
                "another; there is no encoder to cut"
            )
        objective = model.frontend.objective
        encoder = trained.cut(objective, model.frontend.ssl_encoder)
        encoder.save_pretrained(output / ENCODER, sparse=_is_sparse(objective))
        config = {k: v for k, v in read_config(trained.model_file).items() if k not in _DROPPED}
        config["frontend_conf"] = {**config["frontend_conf"], "model": str(output / ENCODER)}
        state = {
            name: tensor
            for name, tensor in model.state_dict().items()
            if not name.startswith((_FRONTEND, _OBJECTIVE))
        }
        state |= {f"{_FRONTEND}{name}": tensor for name, tensor in encoder.state_dict().items()}
        # Some of ESPnet's tasks write into the namespace that they build from.
        plain = plain_task.build_model(argparse.Namespace(**config))
        load_strictly(plain, state, output / WEIGHTS)
        with atomic_file(output / WEIGHTS) as file:
            torch.save(plain.state_dict(), file)
        atomic_write(output / CONFIG, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
        total = sum(parameter.numel() for parameter in plain.parameters())
        print(f"{output}: {total} parameters with the task's own layers")

    return write


# By an option that none of the later trainings has.
_KINDS: dict[str, tuple[type[AbsTask], Callable[[Trained], None]]] = {
    "student": (DistillationTask, _write_encoder),
    "diarization_conf": (PowersetDiarizationTask, _write_diarizer),
    "speaker_weight": (EmbeddingTask, _write_head),
    "label_aggregator": (PrunedDiarizationTask, _task_writer(DiarizationTask)),
    "deliberationencoder": (PrunedSLUTask, _task_writer(SLUTask)),
    "token_list": (PrunedASRTask, _task_writer(ASRTask)),
}
