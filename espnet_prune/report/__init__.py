"""What a diarization recipe found out: figures, table, plots."""
