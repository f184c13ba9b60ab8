"""The settings of the documentation; make docs builds it."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "extensions")]

import espnet_prune  # noqa: E402

project = "espnet_prune"
author = "The maintainers of espnet_prune"
release = version = espnet_prune.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "generated_pages",
    "repository_links",
]
exclude_patterns = ["_build", "extensions"]
html_theme = "furo"
html_title = f"espnet_prune {release}"

myst_heading_anchors = 3
myst_enable_extensions = ["deflist", "dollarmath"]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
# The site needs torch, safetensors and numpy; what else the rooms import is not there.
autodoc_mock_imports = [
    *("editdistance", "espnet2", "h5py", "matplotlib", "onnx", "onnxruntime", "onnxscript"),
    *("praatio", "pyannote", "pyroomacoustics", "s3prl", "scipy", "sentencepiece", "sklearn"),
    *("soundfile", "soxr", "torchaudio", "tqdm", "transformers"),
]
napoleon_numpy_docstring = False
# Fields of tuples and data classes are described once, in the docstring of their class.
napoleon_use_ivar = True


def _skip(app, what, name, obj, skip, options):
    field = type(obj).__name__ == "_tuplegetter"
    return True if field else None


def setup(app):
    """Leave out the fields of named tuples."""
    app.connect("autodoc-skip-member", _skip)
