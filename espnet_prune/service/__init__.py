"""A diarizer behind HTTP: a bounded queue, uploads of a bounded size, and a page to look at it."""

from espnet_prune.service.app import make_app
from espnet_prune.service.limits import Limits

__all__ = ["Limits", "make_app"]
