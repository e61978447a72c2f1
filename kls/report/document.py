"""Documents as lists of blocks, rendered as text, Markdown or HTML by the templates beside this file.

Every value that a template shows is escaped for its format (`kls.records.escape`); only templates make markup.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from tabulate import tabulate

from kls.analysis.tables import Table
from kls.records.escape import html_escaped, markdown_escaped, one_line
from kls.records.own_files import MARK

TEXT_WIDTH, TEXT_ROWS, TEXT_LINES = 120, 30, 15  # characters; rows of a table; lines of a list
MOST_ROWS = 100  # of a table or a list in Markdown and HTML; runs.csv has all

_TEMPLATES = Path(__file__).with_name("templates")


class Heading(NamedTuple):
    """A heading; level 1 is the title. The table of contents lists headings with an anchor."""

    words: str
    level: int
    anchor: str = ""


class Paragraph(NamedTuple):
    """A paragraph of prose. kind: "" is plain, "note" explains in small letters, "banner" is a warning in a box."""

    words: str
    kind: str = ""


@dataclass(frozen=True)
class List:
    """A list of lines."""

    lines: Sequence[str]


class TableBlock(NamedTuple):
    """A table with its note."""

    table: Table


class Picture(NamedTuple):
    """A PNG file in ``folder``: Markdown links it, a page holds its bytes. alt: for readers who do not see it."""

    file_name: str
    caption: str
    alt: str = ""
    folder: Path = Path()


class Commands(List):
    """What to type into a terminal, one command a line."""


class Details(NamedTuple):
    """Blocks that a reader of a page opens by a click; on paper they are open."""

    words: str
    blocks: Sequence[Block]


class Links(NamedTuple):
    """Links to other documents: (words, relative address without .html or .md, what follows)."""

    items: Sequence[tuple[str, str, str]]


Block = Heading | Paragraph | List | TableBlock | Picture | Details | Links


def render_text(blocks: Sequence[Block]) -> str:
    """Plain text, tables and prose no wider than `TEXT_WIDTH`."""
    return _render("text.j2", one_line, blocks).strip("\n")


def render_markdown(blocks: Sequence[Block], contents: bool = False) -> str:
    """GitHub-flavoured Markdown; ``contents`` adds a table of contents below the title."""
    text = _render("markdown.j2", markdown_escaped, blocks, with_contents=contents)
    return re.sub(r"\n{3,}", "\n\n", text).lstrip("\n")


def render_page(blocks: Sequence[Block], title: str) -> str:
    """A whole page as HTML: no scripts, no network, pictures inside, a table of contents below the title."""
    style = Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8"))
    return _render("page.html.j2", html_escaped, blocks, title=title, style=style)


def _render(template: str, escaped: Callable[[str], str], blocks: Sequence[Block], **values: object) -> str:
    """Autoescaping by ``escaped`` in place of Jinja's own function, which knows HTML alone."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=lambda value: value if isinstance(value, Markup) else Markup(escaped(str(value))),
    )  # fmt: skip
    environment.tests["a"] = lambda block, kind: type(block).__name__ == kind
    environment.filters |= {
        "rows": _rows, "one_line": one_line, "text_table": _text_table,
        "wrapped": lambda words, indent="": Markup(fill(one_line(words), TEXT_WIDTH, initial_indent=indent)),
        "pipe_table": lambda table: Markup(_drawn(table, MOST_ROWS, "pipe", escaped, "**{}**")),
        "html": lambda words: Markup(html_escaped(one_line(words))),
        "base64": lambda picture: b64encode((picture.folder / picture.file_name).read_bytes()).decode(),
    }  # fmt: skip
    environment.globals |= {"mark": MARK, "most_rows": MOST_ROWS, "text_rows": TEXT_ROWS, "text_lines": TEXT_LINES}
    contents = [block for block in blocks if isinstance(block, Heading) and block.anchor]
    return environment.get_template(template).render(values, blocks=blocks, contents=contents)


def _rows(table: Table, most: int) -> list[list[tuple[str, bool, bool]]]:
    """The first rows: of each cell its words, and whether it is a number and bold."""
    columns = [(c.cells[:most], c.number, c.bold or [False] * len(c.cells)) for c in table.columns]
    return [[(cells[i], number, bold[i]) for cells, number, bold in columns] for i in range(len(columns[0][0]))]


def _text_table(table: Table) -> Markup:
    """Aligned by spaces; columns of the highest ranks that do not fit are left out, and the last line names them."""
    left_out = list[str]()
    while True:
        drawn = _drawn(table, TEXT_ROWS, "simple", one_line, "* {}")
        if len(table.columns) == 1 or max(map(len, drawn.splitlines())) <= TEXT_WIDTH:
            return Markup(drawn + (f"\nnot shown, too wide: {', '.join(left_out)}" if left_out else ""))
        last = max(range(len(table.columns)), key=lambda i: (table.columns[i].rank, i))
        left_out.insert(0, one_line(table.columns[last].head))
        table = replace(table, columns=table.columns[:last] + table.columns[last + 1 :])


def _drawn(table: Table, most: int, style: str, escaped: Callable[[str], str], bold: str) -> str:
    shown = [[(bold if strong else "{}").format(escaped(words)) for words, _, strong in r] for r in _rows(table, most)]
    sides = ["right" if column.number else "left" for column in table.columns]
    heads = [escaped(column.head) for column in table.columns]
    return tabulate(shown, heads, tablefmt=style, colalign=sides, disable_numparse=True)
