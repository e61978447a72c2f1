"""Documents: the same blocks as text, Markdown, and HTML, each value escaped for its format."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kls.analysis.tables import Column, Table
from kls.records.own_files import is_own
from kls.report.document import (
    Block,
    Commands,
    Details,
    Heading,
    Links,
    List,
    Paragraph,
    Picture,
    TableBlock,
    render_markdown,
    render_page,
    render_text,
)
from kls.report.output import write_report

EVIL = "<b>|[a](http://x) & $x$ \\input{x} \ud800\x1b\n# h"


def table(rows: int = 3) -> Table:
    cells = [f"{i}.50 ± 0.10" for i in range(rows)]
    scores = Column("acc %", cells, number=True, bold=[True, *[False] * (rows - 1)])
    return Table([Column("lam", ["0.1"] * rows), scores], "a note")


def test_a_document_as_text() -> None:
    blocks = [Heading("Title", 1), Paragraph("Words."), List(["a", "b"]), TableBlock(table()), Heading("Next", 2),
              Commands(["run it"]), Details("More", [Paragraph("inside")]), Links([("A", "a/report", ", b")]),
              Picture("p.png", "a picture")]  # fmt: skip
    assert (
        render_text(blocks)
        == """Title
=====
Words.
  a
  b
lam            acc %
-----  -------------
0.1    * 0.50 ± 0.10
0.1      1.50 ± 0.10
0.1      2.50 ± 0.10
a note

Next
  run it

More
inside
  A (a/report), b
picture p.png: a picture"""
    )


def test_a_wide_table_as_text_loses_its_columns_of_the_highest_rank() -> None:
    columns = [Column(f"column {i}", ["x" * 30] * 40, rank=i % 3) for i in range(6)]
    text = render_text([TableBlock(Table(columns)), Paragraph("word " * 60)])
    lines = text.splitlines()
    assert [head for head in map(str.strip, lines[0].split("  ")) if head] == ["column 0", "column 1", "column 3"]
    assert lines[32:34] == ["not shown, too wide: column 4, column 2, column 5", "... and 10 more"]
    assert max(map(len, lines)) == 119


def test_markdown_and_pages_are_cut_after_100_rows() -> None:
    blocks: list[Block] = [TableBlock(table(103)), List(["x"] * 101)]
    markdown, page = render_markdown(blocks), render_page(blocks, "x")
    assert (markdown.count("\n| 0.1"), markdown.count("\n- x")) == (100, 100)
    assert (page.count('<td class="t">0.1'), page.count("<li>x")) == (100, 100)
    for text in (markdown, page):
        assert re.findall(r"\.\.\. and \d+ more", text) == ["... and 3 more", "... and 1 more"]
    assert "**0.50 ± 0.10**" in markdown
    assert '<td class="n best">0.50 ± 0.10</td>' in page


def test_values_are_never_markup() -> None:
    evil = Table([Column(EVIL, [EVIL], number=True, bold=[True]), Column("x", [EVIL])], EVIL)
    blocks: list[Block] = [
        Heading(EVIL, 1), Heading(EVIL, 2, 'a"><b>'), Paragraph(EVIL, "banner"), List([EVIL]), TableBlock(evil),
        Details(EVIL, [Paragraph(EVIL)]), Links([(EVIL, 'a"/<b>)', EVIL)]), Commands([EVIL + "```"]),
    ]  # fmt: skip
    shown = "&lt;b&gt;|[a](http://x) &amp; $x$ \\input{x} \\ud800\\x1b"
    page = render_page(blocks, EVIL)
    assert page.count(shown) == 15
    assert "<b>" not in page
    assert 'href="a%22/%3Cb%3E%29.html"' in page
    markdown = render_markdown(blocks, contents=True)
    code = "``````sh\n<b>|[a](http://x) & $x$ \\input{x} \\ud800\\x1b # h```\n``````"
    assert code in markdown
    rest = markdown.replace(code, "")
    assert rest.count("\\<b\\>\\|\\[a\\](http\\://x) \\& \\$x\\$ \\\\input{x}") == 12
    assert rest.count(shown) == 1
    assert not re.search(r"(?<!\\)<b>|(?m:^# h)", rest)


def test_a_report_is_whole_or_as_before(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def make(words: str, picture: str) -> Path:
        def draw(folder: Path) -> list[Block]:
            (folder / picture).write_bytes(b"\x89PNG Software\0written by kls" + bytes(range(64)))
            return [Heading(words, 1), Heading("Part", 2, "part")]

        return write_report(out, words, draw)

    assert make("first", "report-a.png") == out / "report.html"
    (out / "report-mine.png").touch()
    make("second", "report-b.png")
    written = ["report-b.png", "report-mine.png", "report.html", "report.md"]
    assert sorted(path.name for path in out.iterdir()) == written
    assert (out / "report.md").read_text() == "<!-- written by kls -->\n\n# second\n\n- Part\n\n## Part\n"
    assert '<li><a href="#part">Part</a></li>' in (out / "report.html").read_text()
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ZeroDivisionError):
        write_report(out, "third", lambda folder: [Heading(str(1 / 0), 1)])
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert is_own(out / "report.html")
