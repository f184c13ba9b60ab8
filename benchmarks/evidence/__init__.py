"""Studies: published methods side by side on one encoder, at equal cost (docs/evidence.md)."""
