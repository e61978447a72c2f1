"""One self-contained page: no script, no network, pictures inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kls.aggregate.document import Block, Heading, as_html
from kls.records.escape import html_escaped, markdown_escaped
from kls.records.own_files import MARK

_STYLE = Path(__file__).with_name("page.css")
_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="{mark}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


@dataclass(frozen=True)
class Contents:
    """Links to the headings that have an anchor; Markdown lists their words."""

    headings: Sequence[Heading]

    def text(self) -> str:
        return "\n".join(f"{'  ' * (heading.level - 1)}{heading.words}" for heading in self.headings)

    def markdown(self) -> str:
        return "\n".join(
            f"{'  ' * (heading.level - 2)}- {markdown_escaped(heading.words)}" for heading in self.headings
        )

    def html(self) -> str:
        lines = [
            f"<li{' class=deep' if heading.level > 2 else ''}>"
            f'<a href="#{html_escaped(heading.anchor or "")}">{html_escaped(heading.words)}</a></li>'
            for heading in self.headings
        ]
        return "\n".join(['<nav aria-label="Contents"><ul>', *lines, "</ul></nav>"])


def with_contents(blocks: Sequence[Block]) -> list[Block]:
    """The blocks with a table of contents behind the title, which is the first."""
    headings = [block for block in blocks if isinstance(block, Heading) and block.anchor]
    return [blocks[0], Contents(headings), *blocks[1:]]


def page(blocks: Sequence[Block], title: str) -> str:
    """The whole page as HTML."""
    style = _STYLE.read_text(encoding="utf-8")
    return _HEAD.format(mark=MARK, title=html_escaped(title), style=style, body=as_html(blocks))
