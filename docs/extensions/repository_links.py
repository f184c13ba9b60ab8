"""Links between the repository's files, which hold there, made to hold on the site as well.

A link to a file that is a page of the site leads to that page. Any other leads into the repository
at the address in the environment variable SOURCE_URL (https://host/owner/name/blob/main), or is
plain text without one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from generated_pages import DOCS, PAGES, ROOT

_LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\(([^)\s]+)\)")


def _relocate(text: str, folder: Path) -> str:
    """``text``, a file in ``folder``, with links that hold on the site."""

    def replaced(match: re.Match[str]) -> str:
        label, target = match.groups()
        path, hash_, anchor = target.partition("#")
        if not path or re.match(r"https?:|mailto:", path):
            return match[0]
        found = Path(os.path.normpath(folder / path))
        readme = found / "README.md"
        page = PAGES.get(found) or PAGES.get(readme)
        if page is None and found.suffix == ".md" and found.is_relative_to(DOCS):
            page = str(found.relative_to(DOCS).with_suffix(""))
        if page is not None:
            return f"[{label}](/{page}.md{hash_}{anchor})"
        if not found.exists():
            return match[0]  # which Sphinx then warns about
        if address := os.environ.get("SOURCE_URL"):
            return f"[{label}]({address}/{found.relative_to(ROOT)}{hash_}{anchor})"
        return label

    return _LINK.sub(replaced, text)


def _read(app, docname: str, source: list[str]) -> None:
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".md":
        source[0] = _relocate(source[0], path.parent)


def _include(app, relative_path: Path, parent_docname: str, content: list[str]) -> None:
    content[0] = _relocate(content[0], (DOCS / relative_path).resolve().parent)


def setup(app):
    """Change pages and what they include as they are read."""
    app.connect("source-read", _read)
    app.connect("include-read", _include)
    return {"parallel_read_safe": True}
