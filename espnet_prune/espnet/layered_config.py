"""ESPnet's parser of options, whose ``--config`` may name a ``base``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from espnet2.utils import config_argparse

from espnet_prune.ssl.config_files import read_yaml
from espnet_prune.ssl.typed import similar


class LayeredArgumentParser(config_argparse.ArgumentParser):
    """ESPnet's parser, whose ``--config`` may be layered."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As usual; what the file says are defaults."""
        # Past ESPnet's own method, which would read the file without its base.
        plain = argparse.ArgumentParser.parse_known_args
        given, _ = plain(self, args, namespace)
        if given.config is not None:
            values = read_yaml(given.config)
            known = {action.dest for action in self._actions}
            if unknown := [key for key in values if key not in known]:
                told = "; ".join(f"{key} ({similar(key, known)})" for key in unknown)
                self.error(f"{given.config}: unknown option {told}")
            self.set_defaults(**values)
        return plain(self, args, namespace)


def layered(parser: config_argparse.ArgumentParser) -> LayeredArgumentParser:
    """Let the ``--config`` of an ESPnet task's parser be layered."""
    # ESPnet makes its parser itself, and leaves no other way in.
    parser.__class__ = LayeredArgumentParser
    return parser
