"""Adapter to s3prl 0.4.18: importing this package makes the ``pruned_wavlm`` upstream known.

``python -m s3prl_plugin.run`` does so for commands that do not import it themselves.
"""

from s3prl_plugin import compat
from s3prl_plugin.expert import pruned_wavlm


def register() -> None:
    """Enter ``pruned_wavlm`` where every part of s3prl looks; calling it again is fine.

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


register()
