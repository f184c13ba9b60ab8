"""ESPnet task: fine-tune an SSL encoder and a powerset head on windows of meetings."""

from __future__ import annotations

import argparse
import re
from typing import Any

from espnet2.asr.frontend.abs_frontend import AbsFrontend
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.class_choices import ClassChoices
from espnet2.utils.nested_dict_action import NestedDictAction
from torch import Tensor

from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.head import DiarizationConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import Featurizer
from espnet_prune.encoder.typed import read_typed
from espnet_prune.espnet.frontend import PrunedSSLFrontend
from espnet_prune.espnet.guarded_task import WindowModel, WindowTask
from espnet_prune.espnet.objective import (
    EncoderObjective,
    add_task_pruning_arguments,
    join_objective,
)
from espnet_prune.espnet.statistics import per_frame

frontend_choices = ClassChoices(
    name="frontend",
    classes={"pruned_ssl": PrunedSSLFrontend},
    type_check=AbsFrontend,
    default="pruned_ssl",
)


class ESPnetPowersetModel(WindowModel):
    """Permutation-free powerset cross entropy (Plaquet and Bredin, 2023).

    Attributes:
        objective: what a training that prunes or distils runs the encoder through.
    """

    def __init__(self, model: DiarizationModel):
        super().__init__()
        self.model = model
        self.objective: EncoderObjective | None = None

    @property
    def featurizer(self) -> Featurizer:
        """The encoder and its weighted layers."""
        return self.model.featurizer

    def forward(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        spk_labels: Tensor,
        spk_labels_lengths: Tensor | None = None,
        **_: Any,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, statistics and weight of a batch.

        Args:
            speech, speech_lengths: windows ``(B, T)``, samples ``(B,)``.
            spk_labels, spk_labels_lengths: who is active, ``(B, L, S)``, in how many frames
                ``(B,)``.

        Raises:
            ValueError: labels on another grid of frames than the encoder's.
        """
        log_probs, frames = self.model(speech, speech_lengths)
        if spk_labels_lengths is not None and not frames.equal(spk_labels_lengths.to(frames)):
            grid = FrameGrid.of(self.model.encoder.config)
            raise ValueError(
                f"expected labels of {frames.tolist()} frames, found {spk_labels_lengths.tolist()};"
                f" give the labels as window_labels_{self.model.config.max_speakers}_{grid.name}"
            )
        powerset = self.model.powerset
        labels = spk_labels[:, : log_probs.size(1)]
        loss = powerset.permutation_free_loss(log_probs, labels, frames)[0]
        errors = powerset.frame_errors(powerset.to_multilabel(log_probs), labels, frames)
        # The loss is a mean over frames: their number makes its mean over processes exact.
        weight = frames.sum().to(loss.dtype)
        stats = {"loss": loss.detach().clone(), **per_frame(errors, weight)}
        return force_gatherable((loss, stats, weight), loss.device)


class PowersetDiarizationTask(WindowTask):
    """Weighted layer sum, projection, Conformer, powerset classifier, at two learning rates.

    With gates and a teacher if asked for.
    """

    class_choices_list = (frontend_choices,)

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """``--frontend``, ``--diarization_conf``, and those of pruning."""
        group = parser.add_argument_group(description="Powerset diarization")
        group.add_argument(
            "--diarization_conf",
            action=NestedDictAction,
            default={},
            help="Keyword arguments of DiarizationConfig: head, max_speakers, max_simultaneous, "
            "window_size",
        )
        frontend_choices.add_arguments(group)
        add_task_pruning_arguments(parser, ssl_lr=2e-5)

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
        return join_objective(ESPnetPowersetModel(model), args)


def _on_grid(kind: str, grid: str) -> str:
    """A data type, that of labels on the encoder's own frames unless it names others."""
    return f"{kind}_{grid}" if re.fullmatch(r"window_labels_\d+", kind) else kind
