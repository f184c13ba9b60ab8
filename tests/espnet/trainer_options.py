"""ESPnet options that all trainings of the tests share: two short epochs, no plots."""

from __future__ import annotations

from typing import Any

SHORT = {
    "max_epoch": 2,
    "batch_type": "unsorted",
    "batch_size": 4,
    "num_workers": 0,
    "seed": 1,
    "optim": "adamw",
    "use_tensorboard": "false",
    "use_matplotlib": "false",
    "num_att_plot": 0,
    "resume": "true",
    "keep_nbest_models": 1,
}


def trainer_options(**changes: Any) -> list[str]:
    """The words of a command, with some options more or others."""
    values = SHORT | changes
    words = [word for key, value in values.items() for word in (f"--{key}", str(value))]
    return [*words, "--best_model_criterion", "valid,loss,min"]
