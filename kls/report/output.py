"""Writes documents with their pictures to a folder: all of them or, if making one fails, none."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kls.errors import UserError
from kls.records import names
from kls.records.atomic import write_bytes
from kls.records.own_files import MARKDOWN_MARK, check_may_write, is_own
from kls.report.document import Block, render_markdown, render_page

PAGE, MARKDOWN = "report.html", "report.md"

_REPORT = re.compile(r"report-.*\.(png|svg|pdf)")


def write_report(out: Path, title: str, make: Callable[[Path], Sequence[Block]]) -> Path:
    """Write report.html, report.md and their pictures to ``out``, in place of an earlier report's.

    ``make`` draws pictures, named report-....png, into the folder that it is given, and returns the blocks, the
    title first. Returns the path of the page. Raises as `write_files`.
    """

    def documents(folder: Path) -> dict[str, str]:
        blocks = make(folder)
        markdown = f"{MARKDOWN_MARK}\n\n{render_markdown(blocks, contents=True)}"
        return {MARKDOWN: markdown, PAGE: render_page(blocks, title)}

    write_files(out, _REPORT, documents)
    return out / PAGE


def write_files(out: Path, pictures: re.Pattern[str], make: Callable[[Path], Mapping[str, str]]) -> list[str]:
    """Write to ``out`` the texts that ``make`` returns, by file name, and the pictures that it draws into its folder.

    Pictures of an earlier call, whose names match ``pictures``, are removed. Returns the names of texts and PNG files.
    Raises UserError if ``out`` is a run's folder, cannot be written to, or has a file of one of these names that this
    project did not write.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if (out / names.CONFIG).exists() or (out / names.METRICS).exists():
            raise UserError(f"{out}: is the folder of a run; give another --out")
        with tempfile.TemporaryDirectory(prefix="kls-") as folder:
            texts = make(Path(folder))
            drawn = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
        contents = {name: text.encode() for name, text in texts.items()} | drawn
        check_may_write(out / name for name in contents)
        for name, content in contents.items():
            write_bytes(out / name, content)
        for path in out.iterdir():
            if pictures.fullmatch(path.name) and path.name not in contents and is_own(path):
                path.unlink()
    except OSError as error:
        raise UserError(f"{out}: cannot be written to ({error.strerror or error})") from None
    return [*texts, *(name for name in drawn if name.endswith(".png"))]
