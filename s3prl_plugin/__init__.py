"""Adapter to s3prl: the upstream ``pruned_wavlm``, and remedies of s3prl on current libraries."""

from types import ModuleType

from s3prl_plugin import compat


def register() -> None:
    """Make ``pruned_wavlm`` known where the hook is off; calling it again is fine.

    Raises:
        RuntimeError: another package has taken the name.
    """
    compat.apply()
    from s3prl import hub  # its own imports need the remedies above

    adapt(hub)


def adapt(host: ModuleType) -> None:
    """Mend the package ``s3prl``; enter ``pruned_wavlm`` in ``s3prl.hub``, where all parts look.

    Raises:
        RuntimeError: another package has taken the name.
    """
    if host.__name__ == "s3prl":
        return compat.apply()
    from s3prl_plugin.expert import pruned_wavlm

    found = vars(host).setdefault(pruned_wavlm.__name__, pruned_wavlm)
    if found is not pruned_wavlm:
        raise RuntimeError(
            f"the upstream {pruned_wavlm.__name__!r} is registered already, as {found!r}"
        )
