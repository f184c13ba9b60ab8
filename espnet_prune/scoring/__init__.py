"""Error rates and their intervals: diarization, recognition, paired comparisons."""

from espnet_prune.scoring.der import Score, Scores, score

__all__ = ["Score", "Scores", "score"]
