"""Speaker embeddings of WeSpeaker's ResNet34 (Wang et al., 2023), as pyannote.audio publishes it.

Its source is https://huggingface.co/pyannote/wespeaker-voxceleb-resnet34-LM.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn

from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.embedding.resnet import EMBEDDING_DIM, SpeakerResNet
from espnet_prune.diarization.embedding.spectra import cut_windows, log_mel, num_spectra
from espnet_prune.formats.pickles import Inert, check_state, load_pickle
from espnet_prune.formats.sources import find_source
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.checkpoint import load_strictly

WESPEAKER = "pyannote/wespeaker-voxceleb-resnet34-LM"
"""The published model on Hugging Face."""
_FILE, _STATE, _PREFIX = "pytorch_model.bin", "state_dict", "resnet."
# Spectra that pass the network at once, on a CPU those of 16 s: more took twice the time per window
# there, for tensors so large that their memory is not used again.
_SPECTRA_AT_ONCE = {"cpu": 1600}
_SPECTRA_AT_ONCE_ELSEWHERE = 12800

# What the file holds beyond tensors and plain values, by pyannote.audio's converter: the task, and
# the version of PyTorch.
_STAND_INS = dict.fromkeys(
    (
        *(
            f"pyannote.audio.core.task.{name}"
            for name in ("Specifications", "Problem", "Resolution")
        ),
        "torch.torch_version.TorchVersion",
    ),
    Inert,
)


class WeSpeakerEmbedder(nn.Module):
    """Embed local speakers with the ResNet34, E = 256.

    Spectra are computed once for all windows, which overlap, and the network runs once per window
    whatever the number of its speakers.

    Args:
        resnet: the network.
    """

    layers: Collection[int] = ()

    def __init__(self, resnet: SpeakerResNet):
        super().__init__()
        self.resnet = resnet.requires_grad_(False)
        # Channels last are measured to be faster on a CPU, by a sixth.
        for weight in self.resnet.parameters():
            if weight.dim() == 4:
                weight.data = weight.to(memory_format=torch.channels_last)
        self.eval()

    @classmethod
    def from_pretrained(cls, source: str | PathLike[str] = WESPEAKER) -> WeSpeakerEmbedder:
        """Load a published model, strictly.

        Args:
            source: an id on Hugging Face (``owner/name``, with or without ``@revision``), a folder
                with ``pytorch_model.bin``, or that file.

        Raises:
            CheckpointError: the source is missing, damaged, unsafe or of another network.
        """
        path = find_source(source)
        path = path / _FILE if path.is_dir() else path
        resnet = SpeakerResNet()
        load_strictly(resnet, _read_state(path), path)
        return cls(resnet)

    def forward(self, stretch: Stretch, states: Mapping[int, Tensor], weights: Tensor) -> Tensor:
        """As of :class:`~espnet_prune.diarization.embedding.base.SpeakerEmbedder`."""
        heard = (weights > 0).any(1)
        embeddings = weights.new_zeros(*heard.shape, EMBEDDING_DIM)
        rows = heard.any(1).nonzero().flatten()
        if not len(rows):
            return embeddings
        spectra = log_mel(stretch.samples.to(self.resnet.seg_1.weight), "hamming")
        at_once = _SPECTRA_AT_ONCE.get(spectra.device.type, _SPECTRA_AT_ONCE_ELSEWHERE)
        for batch in rows.split(max(1, at_once // num_spectra(stretch.size))):
            starts = [stretch.starts[row] for row in batch.tolist()]
            windows = cut_windows(spectra, starts, stretch.size)
            windows = windows - windows.mean(1, keepdim=True)
            embeddings[batch] = self.resnet(windows, weights[batch])
        return embeddings * heard[:, :, None]


def _read_state(path: Path) -> dict[str, Tensor]:
    checkpoint = load_pickle(path, _STAND_INS)
    if not isinstance(checkpoint, dict) or _STATE not in checkpoint:
        raise CheckpointError(
            f"{path}: expected a checkpoint of pyannote.audio with {_STATE!r}, found none; pass "
            f"the {_FILE} of {WESPEAKER}"
        )
    state = check_state(checkpoint[_STATE], path)
    return {key.removeprefix(_PREFIX): value for key, value in state.items()}
