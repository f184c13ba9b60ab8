"""Enter ``pruned_wavlm`` into the table of upstreams that every part of s3prl looks in."""

from __future__ import annotations

from os import PathLike

from s3prl_plugin import compat
from s3prl_plugin.expert import UpstreamExpert


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
        ValueError: ``ckpt`` is missing.
        CheckpointError: no encoder in ``ckpt``.
    """
    if ckpt is None:
        raise ValueError(
            "pruned_wavlm expects an encoder and found none; pass a folder, file, URL or Hugging "
            "Face id with -k (s3prl's run_downstream) or path_or_url (S3PRLUpstream, ESPnet)"
        )
    if refresh and str(ckpt).startswith(("http://", "https://")):
        from s3prl.util.download import urls_to_filepaths

        urls_to_filepaths(str(ckpt), refresh=True)  # the encoder is read from s3prl's downloads
    return UpstreamExpert(ckpt, model_config)


def register() -> None:
    """Make ``pruned_wavlm`` known to s3prl; calling it again is fine.

    Raises:
        RuntimeError: another package has taken the name.
    """
    compat.apply()
    from s3prl import hub  # its own imports need the remedies above

    found = vars(hub).setdefault(pruned_wavlm.__name__, pruned_wavlm)
    if found is not pruned_wavlm:
        raise RuntimeError(
            f"the upstream {pruned_wavlm.__name__!r} is registered already, as {found!r}"
        )
