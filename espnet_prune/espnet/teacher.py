"""The teacher of a distillation, and the folder that keeps what it said for later epochs."""

from __future__ import annotations

import argparse
import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from espnet_prune.encoder import ConfigError, EncoderOutput, SSLEncoder
from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.typed import shown
from espnet_prune.inference import fast_dtype, inference_form
from espnet_prune.storage.tensors import load_file, save_file

# Options of ESPnet's tasks and preprocessors, and ours, that make the audio of an epoch its own.
_CHANGING = ("crop", "rir_scp", "noise_scp", "noise_info", "data_aug_effects", "target_duration")


class Teacher(nn.Module):
    """Hidden states of an encoder that stays as it is.

    It follows to devices, and is no part of the state dict, the optimizer or the average of
    checkpoints. ``precision`` is one of :data:`~espnet_prune.inference.PRECISIONS`.
    """

    def __init__(
        self, encoder: SSLEncoder, precision: str = "float32", cache: TeacherCache | None = None
    ):
        super().__init__()
        self.precision, self.cache = precision, cache
        self._unregistered = (encoder.eval().requires_grad_(False),)
        self._form: tuple[SSLEncoder, bytes] | None = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True):
        # Devices and dtypes must reach the encoder, which is not registered as a submodule.
        self._unregistered[0]._apply(fn)
        self._form = None
        return super()._apply(fn, recurse)

    @torch.no_grad()
    @torch.autocast("cpu", enabled=False)  # oneDNN's products take the weights' own dtype
    def forward(
        self, wavs: Tensor, lengths: Tensor | None, ids: Sequence[str] | None = None
    ) -> list[Tensor]:
        """Hidden states ``(B, L, D)`` of waveforms ``(B, T)`` of ``lengths`` ``(B,)`` samples.

        With a cache, which asks for the ``ids`` of the utterances, states that come from it are
        those of its layers; in the place of others is an empty tensor.
        """
        if self._form is None:
            encoder, dtype = self._unregistered[0], fast_dtype(self.precision, wavs.device)
            name = _weights_digest(encoder, f"{self.precision} as {dtype}") if self.cache else b""
            self._form = inference_form(encoder, dtype), name
        form, name = self._form
        wide = wavs.float()  # of float64, too
        if self.cache is None:
            states = form(wide, lengths).hidden_states
        else:
            states = self.cache.states(form, name, wide, lengths, ids)
        return [state.to(wavs) for state in states]


class TeacherCache:
    """Hidden states of some of a teacher's ``layers``, in a file of ``folder`` per utterance.

    A file is that of an utterance's id, its samples, the layers, and the teacher's weights,
    precision and device. It holds the states ``(K, L, D)`` of K layers as they were computed in
    the first batch that had the utterance. Those of another batch, which pads otherwise, would
    differ from them by rounding. Processes may share a folder.
    """

    def __init__(self, folder: str | Path, layers: Sequence[int]):
        self.folder, self.layers = Path(folder), sorted(set(layers))

    def states(
        self,
        form: SSLEncoder,
        name: bytes,
        wavs: Tensor,
        lengths: Tensor | None,
        ids: Sequence[str] | None,
    ) -> list[Tensor]:
        """Hidden states of waveforms ``(B, T)``, read, or computed by ``form`` and written.

        ``name`` tells its weights and precision from others.

        Raises:
            ConfigError: no id for each waveform; an utterance whose audio has changed.
            OSError: a file cannot be written.
        """
        if ids is None or len(ids) != len(wavs):
            raise ConfigError(
                f"teacher_cache: expected the utt_id of each of {len(wavs)} utterances in a batch, "
                f"found {'none' if ids is None else len(ids)}; leave teacher_cache out, or train "
                "by ESPnet's trainer, a process for each GPU"
            )
        counts = [wavs.size(1)] * len(wavs) if lengths is None else lengths.tolist()
        audio = [_digest(wav[:n]) for wav, n in zip(wavs, counts, strict=True)]
        device = wavs.device.type
        amp = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
        teacher = _digest(name, f"{self.layers} {device} {amp}".encode()).hex()
        keys = [_digest(f"{n} {id}".encode()).hex() for n, id in zip(counts, ids, strict=True)]
        # Thousands of files in one folder would slow each write down.
        paths = [self.folder / teacher / key[:3] / f"{key}.safetensors" for key in keys]
        found = [_read(*each) for each in zip(paths, audio, ids, strict=True)]
        known = [states for states in found if states is not None]
        if len(known) == len(found):
            return self._batch(known, form.config.num_frames(wavs.size(1)))
        output = form(wavs, lengths)
        for index, path in enumerate(paths):
            if found[index] is None:
                self._write(path, audio[index], output, index)
        return output.hidden_states

    def _write(self, path: Path, audio: bytes, output: EncoderOutput, index: int) -> None:
        frames = int(output.lengths[index])
        own = torch.stack([output.hidden_states[layer][index, :frames] for layer in self.layers])
        parts = {"audio": audio, "sum": _digest(audio, own)}
        save_file({"states": own} | {k: torch.tensor([*v]) for k, v in parts.items()}, path)

    def _batch(self, known: Sequence[Tensor], frames: int) -> list[Tensor]:
        """States ``(K, L_i, D)`` of each utterance as those ``(B, L, D)`` of each layer."""
        states = [known[0].new_empty(0)] * (self.layers[-1] + 1)
        for place, layer in enumerate(self.layers):
            states[layer] = known[0].new_zeros(len(known), frames, known[0].size(-1))
            for row, own in zip(states[layer], known, strict=True):
                row[: own.size(1)] = own[place]
        return states


def build_cache(args: argparse.Namespace, layers: Sequence[int]) -> TeacherCache | None:
    """What ``--teacher_cache`` asks for, of the ``layers`` that are distilled; None without it.

    Raises:
        ConfigError: options by which an utterance is not the same in every epoch.
    """
    folder = getattr(args, "teacher_cache", None)  # not in config.yaml of former versions
    if not folder or getattr(args, "collect_stats", False):
        return None
    options = {**(getattr(args, "preprocessor_conf", None) or {}), **vars(args)}
    found = [f"{name} {shown(options[name])}" for name in _CHANGING if options.get(name)]
    if "chunk" in str(options.get("iterator_type")):
        found.append(f"iterator_type {options['iterator_type']}")
    if found:
        raise ConfigError(
            "teacher_cache: expected whole utterances that are the same in every epoch, found "
            f"{', '.join(found)}; leave teacher_cache out, or what changes them"
        )
    return TeacherCache(folder, layers)


def _read(path: Path, audio: bytes, id: str) -> Tensor | None:
    """The states that ``path`` holds; None if there are none, or they are damaged."""
    if not path.exists():
        return None
    try:
        kept = load_file(path)
        heard = bytes(kept["audio"].tolist())
        if bytes(kept["sum"].tolist()) != _digest(heard, kept["states"]):
            raise CheckpointError(f"{path}: expected the sum of its content, found another")
    except (CheckpointError, KeyError, ValueError) as error:
        logging.warning("teacher_cache: computing again what is damaged: %s", error)
        return None
    if heard != audio:
        raise ConfigError(
            f"teacher_cache: expected the audio of {id} as it was when {path} was written, found "
            "other samples; leave teacher_cache out if they change from epoch to epoch, or give "
            "another folder"
        )
    return kept["states"]


def _weights_digest(encoder: SSLEncoder, more: str) -> bytes:
    parts = encoder.state_dict()
    return _digest(f"{encoder.config} {more} {list(parts)}".encode(), *parts.values())


def _digest(*parts: bytes | Tensor) -> bytes:
    """16 bytes that tell content from other content."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, Tensor):
            found.update(part.detach().cpu().flatten().contiguous().view(torch.uint8).numpy().data)
        else:
            found.update(part)
    return found.digest()
