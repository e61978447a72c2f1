"""A page as a reader finds it: words, cells and attributes; elements nest, and nothing comes from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """Checks that elements nest, and collects words, attributes and cells."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        self.open += [tag] if tag not in ("meta", "img", "br") else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and data.strip():
            self.words.append(" ".join(data.split()))
        if {"td", "th"} & {*self.open}:
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def cells(self) -> list[list[str]]:
        return [[" ".join(cell.split()) for cell in row] for row in self.rows]

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def check_alone(self) -> None:
        """It needs no script and no other file, and its table of contents leads to all its anchors."""
        assert not re.search(r"<script|https?:|url\(|@import|<link", self.html)
        images = self.of("img")
        assert all((image["src"] or "").startswith("data:image/png;base64,") and image["alt"] for image in images)
        links = [link["href"] or "" for link in self.of("a")]
        assert all(link.startswith("#") or link.endswith("/report.html") for link in links)
        anchors = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        assert len(anchors) == len(set(anchors))
        assert [f"#{anchor}" for anchor in anchors] == [link for link in links if link.startswith("#")]
