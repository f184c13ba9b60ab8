"""Error rates and their intervals: diarization, recognition, paired comparisons."""
