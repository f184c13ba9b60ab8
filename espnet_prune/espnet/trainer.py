"""ESPnet's trainer, with a progress bar and a resume that a kill at any moment can't spoil."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sized
from pathlib import Path

from espnet2.train.reporter import aggregate
from espnet2.train.trainer import Trainer

from espnet_prune.espnet import compat
from espnet_prune.espnet.finite import (
    divergence,
    finite_batches,
    require_finite_state,
    watch_loss,
    watched_gradients,
)
from espnet_prune.espnet.optimizers import add_clipping_arguments
from espnet_prune.espnet.processes import ending_together, require_shared
from espnet_prune.espnet.statistics import relate_to_speech
from espnet_prune.progress import progress, progress_stream
from espnet_prune.storage import CheckpointError


class ResumableTrainer(Trainer):
    """ESPnet's own training loop; everything here is a thin wrap round one of its steps.

    Attributes:
        begun: whether an epoch has been trained, so that what fails is no matter of options.
    """

    begun = False

    @classmethod
    def add_arguments(cls, parser) -> None:
        """Options beyond ESPnet's own."""
        add_clipping_arguments(parser)

    @classmethod
    def run(cls, trainer_options, distributed_option, **kwargs) -> None:
        """Train as ESPnet does; says loudly if that has led away from where it began."""
        cls._options, cls._losses, cls._pruned = trainer_options, {}, False
        cls._writes = not distributed_option.dist_rank
        if trainer_options.resume:
            require_shared(Path(trainer_options.output_dir) / "checkpoint.pth")
        options = {"trainer_options": trainer_options, "distributed_option": distributed_option}
        with compat.nan_of_any_process():
            super().run(**options, **kwargs)
        losses = [loss for _, loss in sorted(cls._losses.items())]
        if losses and (message := divergence(losses, cls._pruned)):
            logging.warning(message)
            with progress_stream() as terminal:
                if cls._writes and terminal is not sys.stderr:
                    print(f"warning: {trainer_options.output_dir}: {message}", file=terminal)

    @classmethod
    def resume(cls, checkpoint, model, reporter, **kwargs) -> None:
        """Load the checkpoint, and finish what the killed run had begun after writing it."""
        try:
            Trainer.resume(checkpoint=checkpoint, model=model, reporter=reporter, **kwargs)
        except (KeyError, TypeError, AttributeError, RuntimeError) as error:
            found = " ".join(str(error).split())[:300]
            raise CheckpointError(
                f"{checkpoint}: expected a checkpoint of this training, found another file "
                f"({found}); remove it, or give another output_dir"
            ) from error
        require_finite_state(str(checkpoint), model)
        if cls._writes:
            compat.restore_epoch_files(Path(checkpoint).parent, model, reporter, cls._options)
        for epoch, splits in reporter.stats.items():
            cls._remember(epoch, splits.get("valid", {}))
        if compat.stopped_early(reporter, cls._options):
            reporter.set_epoch(cls._options.max_epoch)

    @classmethod
    def train_one_epoch(cls, model, iterator, reporter, optimizers, scaler, **kwargs) -> bool:
        """One epoch under a progress bar, with no gradients from the epoch before."""
        relate_to_speech(reporter)
        bare = getattr(model, "module", model)  # of several processes
        watch_loss(reporter, bare)
        for optimizer in optimizers:
            optimizer.zero_grad()
        total = len(iterator) if isinstance(iterator, Sized) else None
        finite = finite_batches(iterator)
        shown = progress(finite, f"epoch {reporter.epoch}", total) if cls._writes else finite
        kwargs |= {"reporter": reporter, "optimizers": optimizers, "scaler": scaler}
        with watched_gradients(reporter, bare, scaler), ending_together(shown) as batches:
            invalid = super().train_one_epoch(model=model, iterator=batches, **kwargs)
        require_finite_state(f"epoch {reporter.epoch}", bare, optimizers)
        cls.begun = True
        return invalid

    @classmethod
    def validate_one_epoch(cls, model, iterator, reporter, **kwargs) -> None:
        """One pass over the validation set."""
        relate_to_speech(reporter)
        watch_loss(reporter, getattr(model, "module", model))
        kwargs |= {"model": model, "reporter": reporter}
        with ending_together(finite_batches(iterator)) as batches:
            super().validate_one_epoch(iterator=batches, **kwargs)
        cls._remember(reporter.epoch, {k: aggregate(v) for k, v in reporter.stats.items()})

    @classmethod
    def _remember(cls, epoch: int, statistics) -> None:
        """Keep what :meth:`run` judges the training by: losses, and whether it pruned."""
        if "loss" in statistics:
            cls._losses[epoch] = float(statistics["loss"])
        cls._pruned = cls._pruned or "sparsity" in statistics
