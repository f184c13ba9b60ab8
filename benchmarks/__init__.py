"""How fast encoders are, side by side with their peers on the same weights."""
