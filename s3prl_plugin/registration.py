"""Enter ``pruned_wavlm`` into the table of upstreams that every part of s3prl looks in."""

from __future__ import annotations

from os import PathLike

from s3prl_plugin import compat
from s3prl_plugin.expert import UpstreamExpert


def pruned_wavlm(
    ckpt: str | PathLike[str] | None = None, model_config: str | None = None, refresh: bool = False
) -> UpstreamExpert:
    """A dense or pruned encoder from a local folder.

    Args:
        ckpt: folder of an encoder (``-k`` in s3prl, ``path_or_url`` in ESPnet).
        model_config: must be None; the folder holds its config (``-g`` in s3prl).
        refresh: s3prl always passes it; without effect, for nothing is downloaded.

    Raises:
        ValueError: ``ckpt`` is missing, or ``model_config`` is not.
        CheckpointError: no encoder in ``ckpt``.
    """
    if ckpt is None:
        raise ValueError(
            "pruned_wavlm expects the folder of an encoder and found none; pass it with -k "
            "(s3prl's run_downstream) or path_or_url (S3PRLUpstream, ESPnet)"
        )
    if model_config is not None:
        raise ValueError(
            f"pruned_wavlm expects no model config, found {model_config}; leave out -g, the "
            f"config is read from {ckpt}"
        )
    return UpstreamExpert(ckpt)


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
