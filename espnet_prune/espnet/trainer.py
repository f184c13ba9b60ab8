"""ESPnet's trainer, with a progress bar and a resume that a kill at any moment can't spoil."""

from __future__ import annotations

from pathlib import Path

from espnet2.train.trainer import Trainer

from espnet_prune.espnet import compat
from espnet_prune.espnet.clipping import add_clipping_arguments
from espnet_prune.espnet.statistics import relate_to_speech
from espnet_prune.progress import progress


class ResumableTrainer(Trainer):
    """ESPnet's own training loop; everything here is a thin wrap round one of its steps."""

    @classmethod
    def add_arguments(cls, parser) -> None:
        """Options beyond ESPnet's own."""
        add_clipping_arguments(parser)

    @classmethod
    def run(cls, model, optimizers, schedulers, trainer_options, **kwargs) -> None:
        """Train as ESPnet does; checkpoints are written atomically and resumed completely."""
        cls._options = trainer_options
        with compat.atomic_torch_save():
            super().run(
                model=model,
                optimizers=optimizers,
                schedulers=schedulers,
                trainer_options=trainer_options,
                **kwargs,
            )

    @classmethod
    def resume(cls, checkpoint, model, reporter, **kwargs) -> None:
        """Load the checkpoint, and finish what the killed run had begun after writing it."""
        Trainer.resume(checkpoint=checkpoint, model=model, reporter=reporter, **kwargs)
        options = cls._options
        compat.restore_epoch_files(
            Path(checkpoint).parent,
            model.state_dict(),
            reporter.get_epoch(),
            options.best_model_criterion,
            reporter,
        )
        if compat.stopped_early(reporter, options.patience, options.early_stopping_criterion):
            reporter.set_epoch(options.max_epoch)

    @classmethod
    def train_one_epoch(cls, iterator, reporter, optimizers, **kwargs) -> bool:
        """One epoch under a progress bar, with no gradients from the epoch before."""
        relate_to_speech(reporter)
        for optimizer in optimizers:
            optimizer.zero_grad()
        bar = progress(iterator, f"epoch {reporter.epoch}")
        return super().train_one_epoch(
            iterator=bar, reporter=reporter, optimizers=optimizers, **kwargs
        )

    @classmethod
    def validate_one_epoch(cls, reporter, **kwargs) -> None:
        """One pass over the validation set."""
        relate_to_speech(reporter)
        super().validate_one_epoch(reporter=reporter, **kwargs)
