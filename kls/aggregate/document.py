"""A report as a list of blocks, printed as plain text or written as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kls.aggregate.tables import Table, markdown_escaped

TEXT_WIDTH = 120
TEXT_ROWS, MARKDOWN_ROWS = 30, 100  # of a table; the rest is in the CSV files
TEXT_ITEMS = 15  # of a list


class Block(Protocol):
    """A part of a document."""

    def text(self) -> str:
        """Plain text."""

    def markdown(self) -> str:
        """GitHub-flavoured Markdown."""


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title."""

    words: str
    level: int

    def text(self) -> str:
        return f"{self.words}\n{'=' * len(self.words)}" if self.level == 1 else f"\n{self.words}"

    def markdown(self) -> str:
        return f"{'#' * self.level} {markdown_escaped(self.words)}"


@dataclass(frozen=True)
class Line:
    """One line of prose."""

    words: str

    def text(self) -> str:
        return self.words

    def markdown(self) -> str:
        return markdown_escaped(self.words)


@dataclass(frozen=True)
class Items:
    """A list."""

    lines: Sequence[str]

    def text(self) -> str:
        return "\n".join(f"  {line}" for line in self._first(TEXT_ITEMS))

    def markdown(self) -> str:
        return "\n".join(f"- {markdown_escaped(line)}" for line in self._first(MARKDOWN_ROWS))

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
        notes = [*_rest(self.table.rows - MARKDOWN_ROWS), *map(markdown_escaped, self.table.constant_line)]
        return "\n\n".join([drawn, *notes])


@dataclass(frozen=True)
class Picture:
    """A picture in the folder of the Markdown file; plain text names the file."""

    file_name: str
    caption: str

    def text(self) -> str:
        return f"picture {self.file_name}: {self.caption}"

    def markdown(self) -> str:
        return f"![{markdown_escaped(self.caption)}]({self.file_name})"


def as_text(blocks: Sequence[Block]) -> str:
    """Plain text, tables no wider than `TEXT_WIDTH`."""
    return "\n".join(block.text() for block in blocks).strip("\n")


def as_markdown(blocks: Sequence[Block]) -> str:
    """GitHub-flavoured Markdown."""
    return "\n\n".join(block.markdown() for block in blocks) + "\n"


def _rest(n: int) -> list[str]:
    return [f"... and {n:,} more"] if n > 0 else []
