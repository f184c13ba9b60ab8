"""ESPnet3's speech recognition with one more stage: what was trained under gates is cut."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from espnet3.contract.stages import StageSpec
from espnet3.systems.esp2_asr.system import ASRSystem
from espnet3.systems.launch import launch

from espnet_prune.espnet.apply_trained import apply_trained


class PruningSystem(ASRSystem):
    """The stages of ESPnet3, and ``apply_pruning`` behind ``train``."""

    _own = StageSpec(name="apply_pruning", config="training", log_dir="exp_dir")
    _trained = 1 + [stage.name for stage in ASRSystem.stages].index("train")
    stages: ClassVar = (*ASRSystem.stages[:_trained], _own, *ASRSystem.stages[_trained:])

    def apply_pruning(self) -> None:
        """Cut the trained model to its final shape, exactly on target, or fail."""
        conf = self.training_config.apply_pruning
        apply_trained(Path(conf.model_file), Path(conf.output), conf.round_to)


if __name__ == "__main__":
    launch(PruningSystem, conf_package="egs3.TEMPLATE.esp2_asr")
