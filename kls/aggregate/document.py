"""A report as a list of blocks, printed as plain text or written as Markdown or HTML."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kls.aggregate.tables import Table
from kls.records.escape import html_escaped, markdown_escaped, one_line, printable

TEXT_WIDTH = 120
TEXT_ROWS, MARKDOWN_ROWS = 30, 100  # of a table; the rest is in the CSV files
TEXT_ITEMS = 15  # of a list
SHOWN = 0.7  # pixels of a page for each one of a picture


class Block(Protocol):
    """A part of a document."""

    def text(self) -> str:
        """Plain text."""

    def markdown(self) -> str:
        """GitHub-flavoured Markdown."""

    def html(self) -> str:
        """Elements of the body of a page, without scripts."""


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title. A heading with an anchor stands in the table of contents."""

    words: str
    level: int
    anchor: str | None = None

    def text(self) -> str:
        return f"{self.words}\n{'=' * len(self.words)}" if self.level == 1 else f"\n{self.words}"

    def markdown(self) -> str:
        return f"{'#' * self.level} {markdown_escaped(self.words)}"

    def html(self) -> str:
        name = "" if self.anchor is None else f' id="{html_escaped(self.anchor)}"'
        return f"<h{self.level}{name}>{html_escaped(self.words)}</h{self.level}>"


@dataclass(frozen=True)
class Line:
    """One line of prose; a quiet one explains, in small letters."""

    words: str
    quiet: bool = False

    def text(self) -> str:
        return one_line(self.words)

    def markdown(self) -> str:
        return markdown_escaped(self.words)

    def html(self) -> str:
        return f"<p{' class=note' if self.quiet else ''}>{html_escaped(self.words)}</p>"


@dataclass(frozen=True)
class Items:
    """A list."""

    lines: Sequence[str]

    def text(self) -> str:
        return "\n".join(f"  {one_line(line)}" for line in self._first(TEXT_ITEMS))

    def markdown(self) -> str:
        return "\n".join(f"- {markdown_escaped(line)}" for line in self._first(MARKDOWN_ROWS))

    def html(self) -> str:
        lines = "\n".join(f"<li>{html_escaped(line)}</li>" for line in self._first(MARKDOWN_ROWS))
        return f"<ul>\n{lines}\n</ul>"

    def _first(self, most: int) -> list[str]:
        return [*self.lines[:most], *_rest(len(self.lines) - most)]


@dataclass(frozen=True)
class Grid:
    """A table, and below it what is the same in all its rows."""

    table: Table

    def text(self) -> str:
        drawn = self.table.first(TEXT_ROWS).text(TEXT_WIDTH)
        return "\n".join([drawn, *_rest(self.table.rows - TEXT_ROWS), *self.table.constant_line])

    def markdown(self) -> str:
        drawn = self.table.first(MARKDOWN_ROWS).markdown()
        return "\n\n".join([drawn, *map(markdown_escaped, self._notes)])

    def html(self) -> str:
        drawn = self.table.first(MARKDOWN_ROWS).html()
        return "\n".join([drawn, *(f'<p class="note">{html_escaped(note)}</p>' for note in self._notes)])

    @property
    def _notes(self) -> list[str]:
        return [*_rest(self.table.rows - MARKDOWN_ROWS), *self.table.constant_line]


@dataclass(frozen=True)
class Picture:
    """A PNG file of ``folder``, which is that of the Markdown file; a page holds its bytes, plain text names it.

    ``alt`` tells what kind of picture it is, for those who do not see it; it is the caption where not given.
    """

    file_name: str
    caption: str
    alt: str = ""
    folder: Path = Path()

    def text(self) -> str:
        return f"picture {self.file_name}: {self.caption}"

    def markdown(self) -> str:
        drawn = f"![{markdown_escaped(self.alt or self.caption)}]({self.file_name})"
        return f"{drawn}\n\n*{markdown_escaped(self.caption)}*" if self.alt else drawn

    def html(self) -> str:
        content = (self.folder / self.file_name).read_bytes()
        width, height = struct.unpack(">II", content[16:24])  # of the header of a PNG file
        source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        size = f'width="{width * SHOWN:.0f}" height="{height * SHOWN:.0f}"'
        image = f'<img src="{source}" alt="{html_escaped(self.alt or self.caption)}" {size}>'
        caption = f"<figcaption>{html_escaped(self.caption)}</figcaption>"
        card = "card tall" if height > 0.8 * width else "card"
        return f'<figure>\n<div class="{card}">{image}</div>\n{caption}\n</figure>'


@dataclass(frozen=True)
class Commands:
    """What to type into a terminal, one command a line."""

    lines: Sequence[str]

    def text(self) -> str:
        return "\n".join(f"  {one_line(line)}" for line in self.lines)

    def markdown(self) -> str:
        lines = "\n".join(map(one_line, self.lines))
        fence = "`" * (2 + max(map(len, ("`", *re.findall("`+", lines)))))
        return f"{fence}sh\n{lines}\n{fence}"

    def html(self) -> str:
        return f"<pre><code>{html_escaped(chr(10).join(map(one_line, self.lines)))}</code></pre>"


@dataclass(frozen=True)
class Details:
    """Blocks that a reader of a page opens by a click; on paper they are open."""

    words: str
    blocks: Sequence[Block]

    def text(self) -> str:
        return "\n".join([self.words, *(block.text() for block in self.blocks)])

    def markdown(self) -> str:
        inner = "\n\n".join(block.markdown() for block in self.blocks)
        return f"<details>\n<summary>{html_escaped(self.words)}</summary>\n\n{inner}\n\n</details>"

    def html(self) -> str:
        return f"<details>\n<summary>{html_escaped(self.words)}</summary>\n{as_html(self.blocks)}\n</details>"


@dataclass(frozen=True)
class Links:
    """A list of links to documents near this one: (words, address, what follows).

    Addresses are without the ending, which is .html in a page and .md in Markdown.
    """

    items: Sequence[tuple[str, str, str]]

    def text(self) -> str:
        return "\n".join(f"  {words} ({address}){rest}" for words, address, rest in self.items)

    def markdown(self) -> str:
        escaped = markdown_escaped
        return "\n".join(f"- [{escaped(words)}]({address}.md){escaped(rest)}" for words, address, rest in self.items)

    def html(self) -> str:
        lines = [
            f'<li><a href="{html_escaped(address)}.html">{html_escaped(words)}</a>{html_escaped(rest)}</li>'
            for words, address, rest in self.items
        ]
        return "\n".join(["<ul>", *lines, "</ul>"])


def as_text(blocks: Sequence[Block]) -> str:
    """Plain text, tables no wider than `TEXT_WIDTH`."""
    return printable("\n".join(block.text() for block in blocks).strip("\n"))


def as_markdown(blocks: Sequence[Block]) -> str:
    """GitHub-flavoured Markdown."""
    return "\n\n".join(block.markdown() for block in blocks) + "\n"


def as_html(blocks: Sequence[Block]) -> str:
    """Elements of the body of a page."""
    return "\n".join(block.html() for block in blocks)


def _rest(n: int) -> list[str]:
    return [f"... and {n:,} more"] if n > 0 else []
