"""The names that users choose from; command lines list them without importing torch."""

AUTO = "auto"
"""Stands for the best device that is there."""
DTYPES = {"float32": "float32", "bfloat16": "bfloat16", "float16": "float16", "int8": "qint8"}
"""The precisions, and what torch calls them."""
