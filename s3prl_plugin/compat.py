"""Every defect of s3prl on current libraries that this project meets, and its remedy.

Of s3prl 0.4.18 and of its fork espnet-s3prl 2026.5.14:

* ``s3prl.downstream.runner`` and ``s3prl.run_downstream`` import ``HfFolder`` and ``Repository``,
  which left ``huggingface_hub`` in 1.0: placeholders stand in, and raise when they are used
  (``--hub huggingface``, ``--push_to_hf_hub``).
* ``run_downstream -e`` reads its checkpoint with ``torch.load``, whose safe mode (the default
  since torch 2.6) refuses the ``argparse.Namespace`` in it: that class is declared safe.
* Seven tasks import ``torchaudio.sox_effects``, and so does ``s3prl.hub`` of 0.4.18; it left
  torchaudio in 2.9. A placeholder stands in, and its functions raise when they are called.
* Most tasks read audio with ``torchaudio.load``, which needs TorchCodec and FFmpeg since torchaudio
  2.9: soundfile reads, and TorchCodec what soundfile does not.
* ``speech_commands`` imports catalyst for distributed training, and ``sv_voxceleb1`` imports sox
  and does not use it. Neither is kept up with current libraries: placeholders stand in if they are
  not installed, and raise when they are used.
* ``s3prl.downstream.runner`` imports tensorboardX, and the upstream ``vggish`` imports resampy,
  which neither distribution requires: they are dependencies of this project.

Of s3prl 0.4.18 alone:

* ``s3prl.hub`` and ``run_downstream`` call ``torchaudio.set_audio_backend``, which left torchaudio
  in 2.9: a function that does nothing, as it already did before, stands in.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from os import PathLike
from types import ModuleType
from typing import NoReturn

import huggingface_hub
import torch
import torchaudio
from torch import Tensor


class _Removed:
    """Stands in for a function or class that a library no longer has; any use of it raises."""

    def __init__(self, name: str, needs: str):
        self._message = f"this part of s3prl needs {name} of {needs}; install that to run it"

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        raise RuntimeError(self._message)

    def __getattr__(self, attribute: str) -> NoReturn:
        raise AttributeError(self._message)


def apply() -> None:
    """Make s3prl work on the installed libraries; what a library still has is left alone."""
    for name in ("HfFolder", "Repository"):
        if not hasattr(huggingface_hub, name):
            setattr(huggingface_hub, name, _Removed(name, "huggingface_hub<1"))
    torch.serialization.add_safe_globals([argparse.Namespace])
    import s3prl  # here, as the hook calls this function when s3prl is imported

    own = s3prl.__version__.startswith("0.")  # the fork's versions are dates
    if own and not hasattr(torchaudio, "set_audio_backend"):
        torchaudio.set_audio_backend = lambda backend: None
    if importlib.util.find_spec("torchaudio.sox_effects") is None:
        names = ("apply_effects_tensor", "apply_effects_file")
        torchaudio.sox_effects = _placeholder("torchaudio.sox_effects", names, "torchaudio<2.9")
    if hasattr(torchaudio, "load_with_torchcodec"):
        torchaudio.load = _load
    if importlib.util.find_spec("sox") is None:
        _placeholder("sox", ("Transformer",), "sox")
    if importlib.util.find_spec("catalyst") is None:
        _placeholder("catalyst", (), "catalyst")
        _placeholder("catalyst.data", (), "catalyst")
        _placeholder("catalyst.data.sampler", ("DistributedSamplerWrapper",), "catalyst")


def _load(
    uri: str | PathLike[str],
    frame_offset: int = 0,
    num_frames: int = -1,
    normalize: bool = True,
    channels_first: bool = True,
) -> tuple[Tensor, int]:
    """Read what ``torchaudio.load`` does: samples from -1 to 1 ``(C, T)``, and their rate in Hz."""
    import soundfile

    try:
        wav, rate = soundfile.read(uri, num_frames, frame_offset, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        return torchaudio.load_with_torchcodec(
            uri, frame_offset, num_frames, normalize, channels_first
        )
    samples = torch.from_numpy(wav)
    return samples.T.contiguous() if channels_first else samples, rate


def _placeholder(module_name: str, names: Sequence[str], needs: str) -> ModuleType:
    """Enter a module whose ``names`` raise when they are used."""
    module = ModuleType(module_name)
    module.__spec__ = importlib.util.spec_from_loader(module_name, loader=None)
    for name in names:
        setattr(module, name, _Removed(name, needs))
    sys.modules[module_name] = module
    return module
