"""Encoders and diarizers as classes of the libraries that use them."""
