"""Adapter to s3prl 0.4.18: importing this package makes the ``pruned_wavlm`` upstream known.

``python -m s3prl_plugin.run`` does so for commands that do not import it themselves.
"""

from s3prl_plugin.registration import register

register()

__all__ = ["register"]
