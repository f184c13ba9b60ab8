"""Pages made at every build: one per recipe, which includes its README, and one of the commands."""

from __future__ import annotations

import ast
import importlib
import os
from pathlib import Path

from sphinx.ext.autodoc.mock import mock

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
GENERATED = DOCS / "_generated"
PAGES = {ROOT / name: f"_generated/{Path(name).stem.lower()}"
         for name in ("CHANGELOG.md", "CONTRIBUTING.md")}  # fmt: skip
"""The file of the repository that each page includes, and the page's name."""
PAGES |= {
    path: f"_generated/{'_'.join(path.relative_to(ROOT).parts[:-1])}"
    for pattern in ("egs2/README.md", "egs2/*/README.md", "egs2/*/*/README.md")
    for path in sorted(ROOT.glob(pattern))
}


def _write(name: str, text: str) -> None:
    path = DOCS / f"{name}.md"
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _help(path: Path, mocked: list[str]) -> str:
    """What the command's ``--help`` prints; of ESPnet's own options, the description alone."""
    described = ast.get_docstring(ast.parse(path.read_text())) or ""
    if "espnet_prune.espnet" in path.read_text() and "argparse.ArgumentParser(" not in (
        path.read_text()
    ):
        return described
    with mock(mocked):
        parser = importlib.import_module(f"espnet_prune.bin.{path.stem}").get_parser()
    parser.prog = f"python -m espnet_prune.bin.{path.stem}"
    return parser.format_help()


def _make_pages(app) -> None:
    os.environ["COLUMNS"] = "100"
    for path, name in PAGES.items():
        source = os.path.relpath(path, GENERATED)
        _write(name, f"```{{include}} {source}\n```\n")
    commands = ["# Commands\n\nEach prints its options with `--help`.\n"]
    for path in sorted((ROOT / "espnet_prune" / "bin").glob("*.py")):
        if "def main" in path.read_text():
            help_text = _help(path, app.config.autodoc_mock_imports)
            commands.append(f"## {path.stem}\n\n```text\n{help_text.rstrip()}\n```\n")
    _write("_generated/commands", "\n".join(commands))


def setup(app):
    """Make the pages before Sphinx looks for any."""
    app.connect("builder-inited", _make_pages)
    return {"parallel_read_safe": True}
