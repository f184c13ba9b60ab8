"""From a training to what it made, cut to its final shape: a folder that needs none of it."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from espnet2.tasks.abs_task import AbsTask

from espnet_prune.diarization.inference_config import HEAD
from espnet_prune.encoder import ConfigError, SSLEncoder
from espnet_prune.espnet.distillation_task import DistillationTask, ESPnetDistillationModel
from espnet_prune.espnet.embedding_task import EmbeddingTask, ESPnetEmbeddingModel
from espnet_prune.espnet.frontend import PrunedSSLFrontend
from espnet_prune.espnet.layered_config import RECIPE
from espnet_prune.espnet.objective import OPTIONS, EncoderObjective
from espnet_prune.espnet.powerset_task import ESPnetPowersetModel, PowersetDiarizationTask
from espnet_prune.espnet.prunable import TASK, front_ends
from espnet_prune.espnet.training_step import remember_training
from espnet_prune.formats.espnet import CONFIG, load_trained, read_config
from espnet_prune.inference.latency import require_on_time
from espnet_prune.pruning import Pruner, count_macs, count_params, thresholds
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.files import atomic_file, atomic_write

# What a config.yaml may have us import.
_HOSTS = re.compile(r"(espnet2|espnet3|espnet_prune)(\.\w+)+")
ENCODER, WEIGHTS = "encoder", "model.pth"
# Options that ESPnet's own commands do not have, and those that name files of the dense model.
_DROPPED = (TASK, RECIPE, *OPTIONS, "ssl_lr", "grad_clip_percentile", "grad_clip_history",
            "init_param")  # fmt: skip


class Cut(NamedTuple):
    """How an encoder is cut.

    Attributes:
        round_to: what the widths of convolutions and FFNs are made multiples of.
        changes: of the training's PruningConfig, for another budget; see :meth:`.Pruner.at`.
    """

    round_to: int = 1
    changes: Mapping[str, Any] = {}


def apply_trained(model_file: Path, output: Path, cut: Cut | None = None) -> None:
    """Write what a training of this project made, without gates: a folder complete by itself.

    Args:
        model_file: weights that the training wrote, its ``config.yaml`` beside them.
        output: folder to write.
        cut: how, if the training had gates; None: to its own budget.

    Raises:
        BudgetMissed: the training ended away from a target.
        CheckpointError: no file of a training of ours.
        ValueError: a multiple for gates that leave widths alone.
    """
    config = read_config(model_file)
    own = next((own for option, own in _OWN.items() if option in config), None)
    task, write = own or (_espnet_task(config, model_file), _write_task)
    model = load_trained(task, model_file)
    remember_training(model, task, config, model_file.name)
    write(model, config, output, cut or Cut())


def _espnet_task(config: dict[str, Any], model_file: Path) -> type[AbsTask]:
    """The task of ESPnet whose training wrote ``config``; ESPnet3 calls it ``task``."""
    module, _, name = str(config.get(TASK, config.get("task"))).rpartition(".")
    if _HOSTS.fullmatch(module):
        with contextlib.suppress(ImportError):
            task = getattr(import_module(module), name, None)
            if isinstance(task, type) and issubclass(task, AbsTask):
                return task
    raise CheckpointError(
        f"{model_file.with_name(CONFIG)}: expected the configuration of a training with frontend: "
        "pruned_ssl, or of a training command of this project (espnet_prune.bin.*_train), found "
        "that of another task"
    )


def _write_encoder(
    model: ESPnetDistillationModel, _: dict[str, Any], output: Path, cut: Cut
) -> None:
    _save_cut(model.student, model.objective, output, cut)


def _write_diarizer(model: ESPnetPowersetModel, _: dict[str, Any], output: Path, cut: Cut) -> None:
    """The whole model, and its encoder alone in ``encoder``."""
    encoder = model.featurizer.encoder
    small = _save_cut(encoder, model.objective, output / ENCODER, cut)
    model.featurizer.encoder = small
    model.model.save_pretrained(output)


def _write_head(model: ESPnetEmbeddingModel, _: dict[str, Any], output: Path, __: Cut) -> None:
    model.head.save_pretrained(output / HEAD)


def _write_task(model: Any, config: dict[str, Any], output: Path, cut: Cut) -> None:
    """``encoder/``, ``model.pth`` and ``config.yaml`` as ESPnet's own task loads them.

    The config comes last, so that a folder with one is whole.
    """
    parts = (part for part in model.modules() if isinstance(part, PrunedSSLFrontend))
    frontend = next(parts, None)
    if frontend is None:
        raise ConfigError(
            f"expected frontend: pruned_ssl in the training's {CONFIG}, found another; there is no "
            "encoder to cut"
        )
    small = _save_cut(frontend.ssl_encoder, frontend.objective, output / ENCODER, cut)
    frontend.featurizer.encoder, frontend.objective = small, None
    with atomic_file(output / WEIGHTS) as file:
        torch.save(model.state_dict(), file)
    kept = {key: value for key, value in config.items() if key not in _DROPPED}
    for option, conf in front_ends(argparse.Namespace(**config)):
        kept[option] = {k: v for k, v in conf.items() if k != "model"}
        if conf.get("model") == frontend.model:
            kept[option]["config"] = small.config.to_dict()
    if isinstance(tokens := kept.get("token_list"), str):  # ESPnet3 names the file
        kept["token_list"] = Path(tokens).read_text(encoding="utf-8").splitlines()
    atomic_write(output / CONFIG, yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))
    total = sum(parameter.numel() for parameter in model.parameters())
    print(f"{output}: {total} parameters with the task's own layers")


# By an option that no other training has.
_OWN: dict[str, tuple[type[AbsTask], Callable[[Any, dict[str, Any], Path, Cut], None]]] = {
    "student": (DistillationTask, _write_encoder),
    "diarization_conf": (PowersetDiarizationTask, _write_diarizer),
    "speaker_weight": (EmbeddingTask, _write_head),
}


def _save_cut(
    encoder: SSLEncoder, objective: EncoderObjective | None, folder: Path, cut: Cut
) -> SSLEncoder:
    """``encoder`` cut by the gates of ``objective``, if it has any, and saved."""
    pruner = objective.pruner if objective else None
    if cut.changes and not pruner:
        raise ConfigError("expected a training with gates for pruning_conf, found none")
    if cut.changes and pruner:
        pruner = pruner.at(encoder, cut.changes)
    small = _cut(pruner, encoder, cut.round_to) if pruner else encoder
    small.save_pretrained(folder, sparse=pruner is not None and pruner.gates.sparse)
    return small


def _cut(pruner: Pruner, encoder: SSLEncoder, round_to: int) -> SSLEncoder:
    """``encoder`` cut by its trained gates; says how small it becomes, by which thresholds."""
    exact = pruner.apply_to(encoder)
    dense = int(count_params(encoder.config).total)
    kept = _size(exact, pruner.gates.sparse)
    macs = [count_macs(e.config, pruner.config.reference_seconds).total for e in (encoder, exact)]
    print(f"{dense} -> {kept} parameters, sparsity {1 - kept / dense:.4f}")
    print(f"{macs[0]} -> {macs[1]} MACs of {pruner.config.reference_seconds:g} s of audio")
    for layer, threshold in thresholds(pruner).items():
        print(f"  threshold {threshold:.3e} of {layer}")
    for line in require_on_time(pruner.limits, exact):
        print(line)
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
