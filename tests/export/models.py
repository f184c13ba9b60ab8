"""Small models to export, every parameter and buffer random."""

from __future__ import annotations

import torch

from espnet_prune.encoder import Featurizer, SSLEncoder, TransformerLayerConfig
from tests.encoders import KINDS, random_encoder, tiny_config

_TWO = (TransformerLayerConfig((0, 2, 3), 9, ranks=(7, 0, 3, 4)), TransformerLayerConfig((), 5))
_EMPTIED = (TransformerLayerConfig((1, 3), 0), TransformerLayerConfig((), 0))

# Every family and norm order, pruned, with these changes spread over them.
_CHANGES = [
    {"layers": _TWO, "channel_scale": True},
    {"layers": _TWO, "final_norm": False},
    {"layers": _EMPTIED, "channel_scale": True},
    {"layers": _EMPTIED, "pos_conv_kernel": 7},
]
_OF_WHISPER = [{"layers": _TWO, "final_norm": False}, {"layers": _EMPTIED}]
ENCODERS = {
    f"{family}-{size}": (
        family,
        size,
        _OF_WHISPER[index % 2] if family == "whisper" else _CHANGES[(index - index // 4) % 4],
    )
    for index, (family, size) in enumerate(KINDS)
}
DIARIZERS = {
    "diarizer-group": ("wavlm", "base", "group"),
    "diarizer-batch": ("wavlm", "base", "batch"),
    "diarizer-whisper": ("whisper", "own", "group"),
}


def make(name: str):
    """The model of one of the names above, in eval mode."""
    if name in DIARIZERS:
        return _diarizer(*DIARIZERS[name])
    family, size, changes = ENCODERS[name]
    return random_encoder(tiny_config(family, size, **changes))


def encoder_of(model) -> SSLEncoder:
    """The encoder that ``model`` is or has."""
    return model if isinstance(model, SSLEncoder) else model.encoder


def _diarizer(family: str, size: str, norm: str):
    from espnet_prune.diarization.head import DiarizationConfig, HeadConfig
    from espnet_prune.diarization.model import DiarizationModel

    head = HeadConfig(hidden=12, num_layers=2, num_heads=2, ffn=20, kernel=5, norm=norm)
    featurizer = Featurizer(random_encoder(tiny_config(family, size, layers=_TWO)))
    model = DiarizationModel(featurizer, DiarizationConfig(head, 3, 2, window_size=2.0)).eval()
    with torch.no_grad():
        for name, tensor in model.head.state_dict().items():
            if tensor.is_floating_point():
                tensor.add_(0.3 * torch.randn_like(tensor))
            if name.endswith("running_var"):
                tensor.abs_()
    return model
