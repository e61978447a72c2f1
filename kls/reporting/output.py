"""Writes a report: pictures are drawn in a temporary folder first, so that a report that fails leaves nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from kls.aggregate.document import Block, as_markdown
from kls.errors import UserError
from kls.records.atomic import write_bytes, write_text
from kls.records.own_files import MARK, MARKDOWN_MARK, check_may_write, is_own
from kls.reporting.page import page, with_contents

PAGE, MARKDOWN = "report.html", "report.md"

_PICTURES = "report-*.png"
_COLOURS = 256


def write_report(out: Path, title: str, make: Callable[[Path], Sequence[Block]]) -> Path:
    """Write report.html, report.md and its pictures to ``out``, over an earlier report, whose other pictures go away.

    ``make`` draws pictures, named report-....png, into the folder that it is given, and returns the blocks, the
    title first. Returns the path of the page. Raises UserError where ``out`` cannot be written to, or holds a file of
    the name of one of these that no report has written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        check_may_write([out / PAGE, out / MARKDOWN])
        with tempfile.TemporaryDirectory(prefix="kls-report-") as name:
            drawn = Path(name)
            blocks = with_contents(make(drawn))
            for path in drawn.glob(_PICTURES):
                _shrink(path)
            html, markdown = page(blocks, title), as_markdown(blocks)
            pictures = {path.name: path.read_bytes() for path in drawn.glob(_PICTURES)}
        check_may_write([out / PAGE, out / MARKDOWN, *(out / picture for picture in pictures)])
        for picture, content in pictures.items():
            write_bytes(out / picture, content)
        write_text(out / MARKDOWN, f"{MARKDOWN_MARK}\n\n{markdown}")
        write_text(out / PAGE, html)
        for path in out.glob(_PICTURES):
            if path.name not in pictures and is_own(path):
                path.unlink()
    except OSError as error:
        raise UserError(f"{out}: cannot be written to ({error.strerror or error})") from None
    return out / PAGE


def _shrink(path: Path) -> None:
    """Store a picture by a palette, which takes a third of the bytes; its colours are few."""
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    software = PngInfo()
    software.add_text("Software", MARK)
    few.save(path, "PNG", optimize=True, pnginfo=software)
