"""What every training command of this project adds to ESPnet's tasks: what fails is told."""

from __future__ import annotations

import argparse
import contextlib
import errno
import inspect
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from espnet2.tasks import abs_task
from espnet2.tasks.abs_task import AbsTask, optim_classes, scheduler_classes
from espnet2.train.abs_espnet_model import AbsESPnetModel
from espnet2.train.collate_fn import CommonCollateFn
from torch import Tensor

from espnet_prune.encoder import ConfigError
from espnet_prune.encoder.typed import read_arguments, shortened, shown, similar
from espnet_prune.espnet import compat
from espnet_prune.espnet.layered_config import LayeredArgumentParser, layered
from espnet_prune.espnet.optimizers import clip_as_asked, grouped_optimizers
from espnet_prune.espnet.processes import is_of_another
from espnet_prune.espnet.registration import adapt
from espnet_prune.espnet.running import remember_options, require_same_options
from espnet_prune.espnet.trainer import ResumableTrainer

_COUNTS = (
    "max_epoch", "accum_grad", "batch_size", "batch_bins", "num_iters_per_epoch",
    "keep_nbest_models",
)  # fmt: skip
_MOST = 10**12
_AGAIN = "the last checkpoint stays: run the same command again"

# At import, because ESPnet's processes for several GPUs start from the class alone.
adapt(abs_task)


class GuardedTask(AbsTask):
    """Reads options by type, trains with :class:`ResumableTrainer`, reads files as data alone.

    To be inherited from before one of ESPnet's tasks.
    """

    trainer = ResumableTrainer

    @classmethod
    def get_parser(cls) -> LayeredArgumentParser:
        """ESPnet's own options and the task's; ``--config`` may name a ``base``."""
        return layered(super().get_parser())

    @classmethod
    def check_required_command_args(cls, args: argparse.Namespace) -> None:
        """Refuse what is missing, unknown, or not on this machine, before any work."""
        missing = [f"--{name}" for name in args.required if getattr(args, name) is None]
        if missing:
            raise ConfigError(f"expected {', '.join(missing)}, found none; --help tells")
        for name in _COUNTS:
            for count in _listed(getattr(args, name)):
                if not 1 <= count <= _MOST:
                    raise ConfigError(f"expected --{name} from 1 to {_MOST}, found {count}")
        found = torch.cuda.device_count()
        if args.ngpu > found:
            raise ConfigError(f"expected --ngpu up to {found}, as many as here, found {args.ngpu}")
        known = {choices.name: choices.classes for choices in cls.class_choices_list}
        known |= {"optim": optim_classes, "scheduler": scheduler_classes}
        for option, classes in known.items():
            name, conf = getattr(args, option, ""), getattr(args, f"{option}_conf", None)
            if conf and name in classes:
                _check_arguments(classes[name], conf, f"{option}_conf")

    @classmethod
    def build_optimizers(
        cls, args: argparse.Namespace, model: torch.nn.Module
    ) -> list[torch.optim.Optimizer]:
        """The task's own, or one whose groups have rates of their own; clipped as asked.

        ESPnet calls this when its options are final, and writes config.yaml next: so here it is
        seen that a training is resumed as what it is.
        """
        optimizers = grouped_optimizers(super().build_optimizers, args, model)
        require_same_options(args)
        for optimizer in optimizers:
            clip_as_asked(optimizer, args)
            remember_options(args, optimizer)
        return optimizers

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        """One process of the training; what options, files and machine can cause is explained."""
        cls.trainer.begun = False
        amp = contextlib.nullcontext() if args.ngpu else compat.amp_on_cpu()
        try:
            with compat.atomic_torch_save(), compat.tensors_only(), amp:
                super().main_worker(args)
        except Exception as error:
            logging.debug("where it was raised", exc_info=True)
            explained = _explained(error, cls.trainer.begun, args.output_dir)
            if explained is error:
                raise
            raise explained from error


class WindowTask(GuardedTask):
    """Base of this project's own tasks: audio that comes ready, by default, padded with zeros."""

    @classmethod
    def build_collate_fn(cls, args: argparse.Namespace, train: bool) -> Any:
        """Pad with zeros."""
        return CommonCollateFn(float_pad_value=0.0, int_pad_value=-1)

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool) -> Callable | None:
        return None

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        return ()


class WindowModel(AbsESPnetModel):
    """Base of their models, which need no statistics stage."""

    def collect_feats(self, **_: Tensor) -> dict[str, Tensor]:
        return {}


def _listed(value: object) -> list[Any]:
    """An option that may be left out or be a list, as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _check_arguments(function: Callable[..., Any], conf: Mapping[str, Any], where: str) -> None:
    """Names and, as far as ESPnet's and PyTorch's classes tell, types of keyword arguments."""
    if function.__module__.startswith("espnet_prune.") and where == "frontend_conf":
        read_arguments(function, conf, where)
        return
    known = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return
    problems = []
    for key, value in conf.items():
        if key not in known:
            problems.append(f"unknown key {key} ({similar(str(key), known)})")
            continue
        default = known[key].default
        number = isinstance(default, int | float) and not isinstance(default, bool)
        if number and isinstance(value, str | bool | list | dict):
            problems.append(f"{key}: expected a number, found {shown(value)}")
        elif isinstance(default, bool) and isinstance(value, str):
            problems.append(f"{key}: expected true or false, found {shown(value)}")
    if problems:
        raise ConfigError(f"{where}: {shortened(problems, separator='; ')}")


def _explained(error: Exception, begun: bool, output_dir: object) -> Exception:
    """What to raise in the place of ``error``: the same in one line, if it is none of our bugs."""
    text = str(error)
    if "Original Traceback" in text:  # of a data loader's worker
        last = text.strip().splitlines()[-1]
        return ValueError(re.sub(r"^[\w.]+(Error|Exception|NotFinite): ", "", last))
    if "DataLoader worker" in text:
        return ChildProcessError(f"a data loader's worker ended: {_first_line(text)}; {_AGAIN}")
    if "out of memory" in text or "can't allocate memory" in text:
        return ValueError(f"not enough memory ({_first_line(text)}); lower the batch size")
    if is_of_another(error):
        return ChildProcessError(
            "lost another process of this training, whose own message tells why "
            f"({_first_line(text)}); {_AGAIN}"
        )
    if "Expected to have finished reduction" in text:
        return ConfigError(
            "expected parameters that all learn, found some that no loss depends on, which several "
            "processes have to know of; set unused_parameters: true"
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and not error.filename:
        message = "no space left on the disk; make room and run the same command again"
        return OSError(errno.ENOSPC, message, str(output_dir))
    if isinstance(error, ValueError | OSError) or begun:
        return error
    return ConfigError(
        "expected options and data that ESPnet can train with, found none "
        f"({type(error).__name__}: {_first_line(text)}); --log_level DEBUG shows where"
    )


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # PyTorch puts what differs behind a headline.
    return " ".join(lines[:2]) if lines and lines[0].endswith(":") else "".join(lines[:1])
