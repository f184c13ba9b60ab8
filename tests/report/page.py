"""An HTML page as a browser understands it: its tables, images, headings and references."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img"}


@dataclass
class Cell:
    """Text of a cell, and the exact number behind it."""

    text: str = ""
    value: float | None = None


@dataclass
class Table:
    """Caption and rows, headings included."""

    caption: str = ""
    rows: list[list[Cell]] = field(default_factory=list)

    def row(self, name: str) -> list[Cell]:
        """The cells beside the heading ``name``."""
        (found,) = (row[1:] for row in self.rows if row and row[0].text == name)
        return found


class Page(HTMLParser):
    """Parses strictly: an element that is not closed in order is an error."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tables: list[Table] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(html)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"repeated attribute: {tag} {names}"
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")
        if tag == "table":
            self.tables.append(Table())
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in ("td", "th"):
            self.tables[-1].rows[-1].append(Cell())
        elif tag == "data" and "table" in self.open:
            self.tables[-1].rows[-1][-1].value = float(dict(attrs)["value"] or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag][-1] += data
        if "caption" in self.open:
            self.tables[-1].caption += data
        elif "td" in self.open or "th" in self.open:
            self.tables[-1].rows[-1][-1].text += data

    def table(self, caption: str) -> Table:
        """The table whose caption begins with ``caption``."""
        (found,) = (table for table in self.tables if table.caption.startswith(caption))
        return found

    def values(self, attribute: str) -> list[str]:
        """All values of an attribute, wherever it is."""
        return [value for _, name, value in self.attributes if name == attribute]

    def images(self) -> list[bytes]:
        """The images, which must all be PNG files inside the page."""
        files = []
        for source in self.values("src"):
            embedded = re.fullmatch(r"data:image/png;base64,([A-Za-z0-9+/]+=*)", source)
            assert embedded, source[:80]
            files.append(base64.b64decode(embedded[1], validate=True))
        return files
