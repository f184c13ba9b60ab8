"""Command line tools: `python -m espnet_prune.bin.<verb>`, one thin file per verb."""
