"""Pages made at every build: one per recipe, which includes its README, and one of the commands."""

from __future__ import annotations

import ast
import importlib
import os
from pathlib import Path

from sphinx.ext.autodoc.mock import mock

from espnet_prune.bin import GROUPS

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
GENERATED = DOCS / "_generated"
PAGES = {ROOT / name: f"_generated/{Path(name).stem.lower()}"
         for name in ("CHANGELOG.md", "CONTRIBUTING.md")}  # fmt: skip
"""The file of the repository that each page includes, and the page's name."""
PAGES |= {
    path: f"_generated/{'_'.join(path.relative_to(ROOT).parts[:-1])}"
    for pattern in ("egs2/*/README.md", "egs2/*/*/README.md")
    for path in sorted(ROOT.glob(pattern))
}


def _write(name: str, text: str) -> None:
    path = DOCS / f"{name}.md"
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _help(verb: str, mocked: list[str]) -> str:
    """What the verb's ``--help`` prints; of those with options of ESPnet, the description alone."""
    source = (ROOT / "espnet_prune" / "bin" / f"{verb}.py").read_text()
    if "ArgumentParser(" not in source:
        return ast.get_docstring(ast.parse(source)) or ""
    with mock([*mocked, "espnet_prune.espnet"]):
        parser = importlib.import_module(f"espnet_prune.bin.{verb}").get_parser()
    parser.prog = f"espnet-prune {verb}"
    return parser.format_help()


def _commands(mocked: list[str]) -> str:
    text = ["# Commands", "Each prints its options with `espnet-prune VERB --help`."]
    for group, verbs in GROUPS.items():
        text.append(f"## {group.capitalize()}")
        for verb in verbs:
            text += [f"### {verb}", f"```text\n{_help(verb, mocked).rstrip()}\n```"]
    return "\n\n".join(text) + "\n"


def _make_pages(app) -> None:
    os.environ["COLUMNS"] = "100"
    for path, name in PAGES.items():
        _write(name, f"```{{include}} {os.path.relpath(path, GENERATED)}\n```\n")
    _write("_generated/commands", _commands(app.config.autodoc_mock_imports))


def setup(app):
    """Make the pages before Sphinx looks for any."""
    app.connect("builder-inited", _make_pages)
    return {"parallel_read_safe": True}
