"""Texts of unknown origin (settings, messages, names of folders) as parts of what others open: harmless and readable.

A text in a run's folder may have been written by anybody. Nothing in it may move a terminal's cursor, break a table,
make a link or an element of a page, run a command of LaTeX, or be a formula of a spreadsheet.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
        "[": "{[}", "]": "{]}", "<": r"\textless{}", ">": r"\textgreater{}",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)  # fmt: skip
_MARKDOWN = re.compile(
    r"(?P<list>\[[\d., ]*\](?![(:\[]))"  # such as [50, 50], which stays
    r"|[\\`*_|<>#~$&\[\]]|!(?=\[)"
    r"|:(?=//)|@|(?<=www)\.",  # addresses, which GitHub makes links of
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"(?<=://)(?!user:password@)[^\s'\"]*(?=@)|(?<=password=)[^\s&'\"]+", re.IGNORECASE)
_FORMULA = re.compile(r"(^|;)(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")  # also in full width


def printable(text: str) -> str:
    """The text with its line breaks; other signs that do not show, such as those that move a cursor, as \\x1b."""
    return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))


def one_line(text: str) -> str:
    """As `printable`, on one line."""
    return " ".join(printable(text).splitlines()).strip()


def shortened(text: str, most: int = 80) -> str:
    """As `one_line`, of at most so many characters."""
    line = one_line(text[: 2 * most])
    return line if len(line) <= most and len(text) <= 2 * most else f"{line[:most]}..."


def without_credentials(text: str) -> str:
    """The text with *** in the place of user and password of any address in it, such as scheme://me:secret@host."""
    return _CREDENTIALS.sub("***", text)


def _shown(sign: str) -> str:
    if sign == "\n" or sign.isprintable():
        return sign
    return " " if sign == "\t" or unicodedata.category(sign) == "Zs" else sign.encode("unicode_escape").decode()


def html_escaped(text: str) -> str:
    """Text that a page shows as it is, also in an attribute."""
    return html.escape(printable(text), quote=True)


def markdown_escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line, also in a cell of a table."""
    return _MARKDOWN.sub(lambda found: found[0] if found["list"] else f"\\{found[0]}", one_line(text))


def latex_escaped(text: object) -> str:
    """Text that LaTeX shows as it is, on one line, also at the beginning of a row."""
    return one_line(str(text)).translate(_LATEX)


def csv_cell(value: object) -> object:
    """A cell as it is; of a text that a spreadsheet would take for a formula one with an apostrophe before it."""
    return _text_cell(value) if isinstance(value, str) else value


@lru_cache(maxsize=4096)  # most are the same in all runs
def _text_cell(text: str) -> str:
    return text if _is_number(text) else _FORMULA.sub(r"\1'", one_line(text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii()
