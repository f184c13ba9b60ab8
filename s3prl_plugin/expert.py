"""A dense or pruned encoder as the s3prl upstream ``pruned_wavlm``."""

from __future__ import annotations

import logging
from os import PathLike

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from espnet_prune.encoder import SSLEncoder
from espnet_prune.encoder.front_end import pad_to_one_frame

logger = logging.getLogger(__name__)


class UpstreamExpert(nn.Module):
    """What s3prl asks of an upstream, around an :class:`~espnet_prune.SSLEncoder`.

    Its arguments are those of :func:`pruned_wavlm`; s3prl calls one or the other.
    """

    def __init__(
        self,
        ckpt: str | PathLike[str] | None = None,
        model_config: str | None = None,
        refresh: bool = False,
    ):
        super().__init__()
        if ckpt is None:
            raise ValueError(
                "pruned_wavlm expects an encoder and found none; pass a folder, file, URL or "
                "Hugging Face id with -k (s3prl's run_downstream) or path_or_url (S3PRLUpstream, "
                "ESPnet)"
            )
        if model_config is not None:
            logger.warning("not reading %s: the config is read from %s", model_config, ckpt)
        if refresh and str(ckpt).startswith(("http://", "https://")):
            from s3prl.util.download import urls_to_filepaths

            urls_to_filepaths(str(ckpt), refresh=True)  # it is read from s3prl's downloads
        self.encoder = SSLEncoder.from_pretrained(ckpt)

    def get_downsample_rates(self, key: str) -> int:
        """Samples per frame, the same for every layer."""
        return self.encoder.config.hop

    def forward(self, wavs: list[Tensor]) -> dict[str, list[Tensor] | Tensor]:
        """Encode 16 kHz waveforms ``(T,)`` of any float type, not padded and not normalised.

        Waveforms shorter than one frame are zero-padded to one. Frames past an item's end repeat
        its last one, as s3prl itself stretches the longest item of a batch, so that an item's
        features do not depend on its neighbours.

        Returns:
            ``hidden_states``: N + 1 tensors ``(B, L, D)``; ``last_hidden_state``: the last of them.

        Raises:
            ValueError: there is no waveform, or one is not ``(T,)`` or no float.
        """
        kinds = {(wav.dim(), wav.is_floating_point()) for wav in wavs}
        if kinds != {(1, True)}:
            raise ValueError(
                "expected waveforms (T,) of floats from -1 to 1, found "
                + (", ".join(f"{tuple(w.shape)} {w.dtype}" for w in wavs[:3]) or "none")
            )
        dtype = self.encoder.get_parameter("front_end.projection.weight").dtype
        samples = torch.tensor([len(wav) for wav in wavs], device=wavs[0].device)
        padded = pad_sequence([wav.to(dtype) for wav in wavs], batch_first=True)
        padded, samples = pad_to_one_frame(padded, samples, self.encoder.config)
        states, frames = self.encoder(padded, samples)
        # s3prl expects a frame per hop, begun or not, and refuses to stretch to twice or more.
        fewest = -(-padded.size(1) // self.encoder.config.hop) // 2 + 1
        size = max(states[0].size(1), fewest)
        if int(frames.min()) < size:
            real = torch.minimum(torch.arange(size, device=frames.device), frames[:, None] - 1)
            states = [
                state.gather(1, real[..., None].expand(-1, -1, state.size(2))) for state in states
            ]
        return {"hidden_states": states, "last_hidden_state": states[-1]}


def pruned_wavlm(
    ckpt: str | PathLike[str] | None = None, model_config: str | None = None, refresh: bool = False
) -> UpstreamExpert:
    """A dense or pruned encoder, be it WavLM, HuBERT, wav2vec 2.0 or Whisper.

    Args:
        ckpt: anything that :meth:`~espnet_prune.SSLEncoder.from_pretrained` takes: a folder, a
            file, ``whisper_tiny_en``, a URL or a Hugging Face id (``-k`` in s3prl,
            ``path_or_url`` in ESPnet).
        model_config: is not read; the encoder comes with its config (``-g`` in s3prl).
        refresh: download a URL again although s3prl has it already (``-r`` in s3prl).

    Raises:
        ValueError: ``ckpt`` is missing, or no encoder is in it.
    """
    return UpstreamExpert(ckpt, model_config, refresh)
