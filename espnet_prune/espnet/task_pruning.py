"""Pruning by a task's own loss, for any of ESPnet's tasks: a mixin over the task's class."""

from __future__ import annotations

import argparse

from espnet2.train.abs_espnet_model import AbsESPnetModel

from espnet_prune.encoder import ConfigError
from espnet_prune.espnet.frontend import PrunedSSLFrontend
from espnet_prune.espnet.guarded_task import GuardedTask
from espnet_prune.espnet.objective import (
    Owner,
    add_objective_arguments,
    build_objective,
)

PRUNING_OPTIONS = ("pruning_conf", "distill_conf", "teacher", "ssl_lr")
"""What asks for an encoder of ours."""


class TaskPruning(GuardedTask):
    """Prunes the SSL encoder of an ESPnet task while the task trains it, by the task's own loss.

    HJ-Pruning (Peng et al., 2023) and self-pinching gates (Xu et al., 2025) train so; with
    ``--distill_conf`` the encoder is drawn to a teacher as well. To be inherited from before the
    task. Without one of :data:`PRUNING_OPTIONS` the training is the task's own.
    """

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The task's own, and those of pruning."""
        super().add_task_arguments(parser)
        add_objective_arguments(parser)
        parser.add_argument(
            "--ssl_lr",
            type=float,
            help="Learning rate of the SSL encoder; default: that of the rest of the model",
        )

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> AbsESPnetModel:
        """The task's own model, with gates and teacher beside its encoder if asked for.

        Raises:
            ConfigError: another front end, or options that do not fit together.
        """
        model = super().build_model(args)
        asked = [name for name in PRUNING_OPTIONS if getattr(args, name) not in (None, {})]
        if not asked:
            return model
        owner = cls.objective_owner(model)
        if owner is None:
            raise ConfigError(
                f"expected frontend: pruned_ssl for {', '.join(asked)}, found "
                f"{args.frontend}; set it, with frontend_conf: model"
            )
        if bool(args.distill_conf) != bool(args.teacher):
            raise ConfigError(
                "expected distill_conf and teacher together, found one alone; give both or none"
            )
        if args.pruning_conf or args.distill_conf:
            build_objective(args, owner.featurizer.encoder).attach(model, owner)
        return model

    @classmethod
    def objective_owner(cls, model: AbsESPnetModel) -> Owner | None:
        """The part of ``model`` that has the featurizer; None if there is none."""
        frontend = getattr(model, "frontend", None)
        return frontend if isinstance(frontend, PrunedSSLFrontend) else None
