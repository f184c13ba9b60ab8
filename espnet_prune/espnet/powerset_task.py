"""ESPnet task: fine-tune an SSL encoder and a powerset head on windows of meetings."""

from __future__ import annotations

import argparse
import re

from espnet2.asr.frontend.abs_frontend import AbsFrontend
from espnet2.train.abs_espnet_model import AbsESPnetModel
from espnet2.train.class_choices import ClassChoices
from espnet2.utils.nested_dict_action import NestedDictAction

from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.head import DiarizationConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder.typed import read_typed
from espnet_prune.espnet.frontend import PrunedSSLFrontend
from espnet_prune.espnet.objective import Owner
from espnet_prune.espnet.powerset_model import ESPnetPowersetModel
from espnet_prune.espnet.task_pruning import TaskPruning
from espnet_prune.espnet.window_task import WindowTask

frontend_choices = ClassChoices(
    name="frontend",
    classes={"pruned_ssl": PrunedSSLFrontend},
    type_check=AbsFrontend,
    default="pruned_ssl",
)


class PowersetTask(WindowTask):
    """Weighted layer sum, projection, Conformer, powerset classifier."""

    class_choices_list = (frontend_choices,)

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """``--frontend`` and ``--diarization_conf``."""
        group = parser.add_argument_group(description="Powerset diarization")
        group.add_argument(
            "--diarization_conf",
            action=NestedDictAction,
            default={},
            help="Keyword arguments of DiarizationConfig: head, max_speakers, max_simultaneous, "
            "window_size",
        )
        for choices in cls.class_choices_list:
            choices.add_arguments(group)

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """Audio and frame labels."""
        return ("speech",) if inference else ("speech", "spk_labels")

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ESPnetPowersetModel:
        """Build from ``--frontend_conf model=...`` and ``--diarization_conf``.

        The model's frames become those of labels that are asked for as ``window_labels_N``.
        """
        frontend = frontend_choices.get_class(args.frontend)(**args.frontend_conf)
        config = read_typed(DiarizationConfig, args.diarization_conf, "diarization_conf")
        model = DiarizationModel(frontend.featurizer, config)
        grid = FrameGrid.of(model.encoder.config).name
        for split in ("train", "valid"):
            option = f"{split}_data_path_and_name_and_type"
            data = getattr(args, option, None) or []
            setattr(args, option, [(*entry[:2], _on_grid(entry[2], grid)) for entry in data])
        return ESPnetPowersetModel(model)


class PowersetDiarizationTask(TaskPruning, PowersetTask):
    """The same at two learning rates, with gates and a teacher if asked for."""

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The task's own, and those of pruning."""
        super().add_task_arguments(parser)
        parser.set_defaults(ssl_lr=2e-5)

    @classmethod
    def objective_owner(cls, model: AbsESPnetModel) -> Owner | None:
        """The model itself."""
        return model


def _on_grid(kind: str, grid: str) -> str:
    """A data type, that of labels on the encoder's own frames unless it names others."""
    return f"{kind}_{grid}" if re.fullmatch(r"window_labels_\d+", kind) else kind
