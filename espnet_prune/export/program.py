"""A model as a traced program of waveforms and lengths, and what its file says about it."""

from __future__ import annotations

import importlib
import json
import logging
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from espnet_prune import __version__
from espnet_prune.encoder import SSLEncoder
from espnet_prune.export.form import export_form
from espnet_prune.storage.checkpoint import kept_history

if TYPE_CHECKING:  # it imports what an encoder's export does without
    from espnet_prune.diarization.model import DiarizationModel

Model: TypeAlias = "SSLEncoder | DiarizationModel"
Output = Literal["hidden_states", "last_hidden_state", "log_probs"]
OUTPUTS: tuple[Output, ...] = get_args(Output)

_RATE = 16000

logger = logging.getLogger(__name__)


class ExportError(ValueError):
    """An export that cannot be made, or that does not compute what the model does."""


def require(*packages: str) -> None:
    """Raise ExportError if one of ``packages`` is not installed."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ExportError(f"this export needs {package}: pip install {package}") from error


def require_whole_diarizer(model: Model, output: Output | None) -> None:
    """Raise ExportError of an encoder, or of another output than a diarizer's log_probs."""
    if isinstance(model, SSLEncoder) or output not in (None, "log_probs"):
        found = "an encoder" if isinstance(model, SSLEncoder) else output
        raise ExportError(
            "expected a diarization model and its log_probs, as this target reads nothing else, "
            f"found {found}"
        )


class Deployment(nn.Module):
    """A model that takes ``wavs`` and ``lengths`` and gives one output and ``frames``.

    The output is ``hidden_states`` of an encoder ``(N + 1, B, L, D)``, its ``last_hidden_state``
    ``(B, L, D)``, or ``log_probs`` of a diarization model ``(B, L, K)``; None stands for the first
    or the last. Of a diarization model, the encoder's outputs are exported without its head.

    Raises:
        ExportError: an encoder has no log_probs.
    """

    def __init__(self, model: Model, output: Output | None = None):
        super().__init__()
        diarizer = None if isinstance(model, SSLEncoder) else model
        self.output = output or ("hidden_states" if diarizer is None else "log_probs")
        if diarizer is None and self.output == "log_probs":
            raise ExportError(
                "expected a diarization model, which alone has log_probs, found an encoder; choose "
                "hidden_states or last_hidden_state"
            )
        self.encoder = model if isinstance(model, SSLEncoder) else model.encoder
        self.diarizer = diarizer if self.output == "log_probs" else None

    def forward(self, wavs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms ``(B, T)``, samples ``(B,)`` to the output and frames ``(B,)``."""
        if self.diarizer is not None:
            return self.diarizer(wavs, lengths)
        states, frames = self.encoder.stream(wavs, lengths)
        if self.output == "hidden_states":
            return torch.stack(list(states)), frames
        *_, last = states
        return last, frames

    @property
    def window(self) -> int:
        """Samples of the windows that a diarization model was trained on."""
        assert self.diarizer is not None
        return round(self.diarizer.config.window_size * _RATE)

    def metadata(self) -> dict[str, str]:
        """What a reader of the file needs to know; numbers and lists as JSON.

        ``hop``, ``receptive_field`` (of one frame), ``shortest`` (input, of one frame) and
        ``first_centre`` (of the first frame) are samples, ``window_size`` is seconds, and
        ``classes`` are the sets of speakers that the K log-probabilities stand for. ``history``
        tells how the encoder came to be, if that is known (:mod:`espnet_prune.history`).
        """
        config = self.encoder.config
        values: dict[str, Any] = {
            "producer": f"espnet_prune {__version__}",
            "family": config.family,
            "output": self.output,
            "sample_rate": _RATE,
            "hop": config.hop,
            "receptive_field": config.receptive_field,
            "shortest": config.shortest,
            "first_centre": config.first_centre,
        }
        if self.diarizer is not None:
            mapping = self.diarizer.powerset.mapping
            values["classes"] = [row.nonzero()[:, 0].tolist() for row in mapping]
            values["window_size"] = self.diarizer.config.window_size
        values |= kept_history(self.encoder)
        return {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}


def trace(deployment: Deployment) -> ExportedProgram:
    """The program of ``deployment`` for batches of any size and of any length from two frames on.

    A single frame is out, as PyTorch's exporter reasons that no axis it does not know is 1; what
    is translated from the program need not heed that.
    """
    config = deployment.encoder.config
    samples = config.shortest + 20 * config.hop
    example = torch.zeros(2, samples), torch.tensor([samples, samples - 5 * config.hop])
    batch, length = Dim.DYNAMIC, Dim.DYNAMIC(min=config.shortest)
    return program_of(deployment, example, {"wavs": {0: batch, 1: length}, "lengths": {0: batch}})


def program_of(
    module: nn.Module, example: tuple[Tensor, ...], axes: dict[str, dict[int, Any]]
) -> ExportedProgram:
    """The program of ``module``, in the form that exports, for inputs with these free axes."""
    logger.info("tracing the model")
    form = export_form(module)
    # Without this, as in PyTorch's own export to ONNX, a batch of one would be out, too.
    settings = importlib.import_module("torch.fx.experimental._config")
    with settings.patch(backed_size_oblivious=True):
        program = torch.export.export(form, example, dynamic_shapes=axes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names folders of this machine
    # Newer exporters keep what they assumed of layouts in memory, "not 1 item" among it, and the
    # program would refuse such a batch, which it computes. What holds of the inputs stays.
    vars(program)["_guards_code"] = []
    return program
