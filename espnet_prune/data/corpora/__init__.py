"""Corpora as distributed, prepared for training and scoring."""
