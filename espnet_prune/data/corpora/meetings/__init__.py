"""Meeting corpora as distributed, prepared for training and scoring."""

from __future__ import annotations

from espnet_prune.data.corpora.meetings.aishell4 import AISHELL4
from espnet_prune.data.corpora.meetings.alimeeting import ALIMEETING
from espnet_prune.data.corpora.meetings.ami import AMI
from espnet_prune.data.corpora.meetings.corpus import Corpus, Size, prepare

CORPORA = {"ami": AMI, "aishell4": AISHELL4, "alimeeting": ALIMEETING}

__all__ = ["AISHELL4", "ALIMEETING", "AMI", "CORPORA", "Corpus", "Size", "prepare"]
