"""Gradient checks that a step has left, and what a page shows of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from PIL import Image

from kls.analysis.tables import rows_table
from kls.analysis.wording import capital, counted
from kls.errors import UserError
from kls.records import checked, names
from kls.records.escape import one_line
from kls.records.small_files import check_small
from kls.report.document import Block, Details, Paragraph, Picture, TableBlock

_LARGEST = 2e7  # pixels of a picture
_KINDS = {"W": "weights", "b": "biases", "gamma": "gamma", "beta": "beta"}
_T = TypeVar("_T")


class Gradients(NamedTuple):
    """A gradient check: its label, the rows of gradients.csv, and its picture, if there is one."""

    label: str
    rows: list[dict[str, str]]
    picture: Path | None


def read_if_there(read: Callable[[Path], _T], path: Path, warnings: list[str]) -> _T | None:
    """What ``read`` makes of a file or folder; None if it is not there, or cannot be read, which adds a warning."""
    try:
        if not path.is_dir():
            check_small(path)
        return read(path)
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged file raises many kinds
        warnings.append(f"skipped: {error if isinstance(error, UserError) else f'{path}: cannot be read'}")
        return None


def read_gradients(folder: Path, warnings: list[str]) -> Gradients | None:
    """The gradient check of a folder, None if it has none that can be read."""
    rows = read_if_there(_rows, folder / names.GRADIENTS, warnings)
    picture = read_if_there(_png, folder / "gradient_errors.png", warnings)
    return Gradients(folder.name, rows, picture) if rows else None


def _rows(path: Path) -> list[dict[str, str]]:
    rows = [{key: one_line(value) for key, value in row.items()} for row in checked.read_csv(path)]
    if not all(_error(row) >= 0.0 and int(row["on_a_kink"]) >= 0 and row["parameter"] for row in rows):
        raise ValueError
    return rows


def _png(path: Path) -> Path:
    with Image.open(path, formats=["PNG"]) as picture:
        if picture.width * picture.height > _LARGEST:
            raise UserError(f"{path}: has {picture.width} x {picture.height} pixels")
        picture.verify()
    return path


def gradient_blocks(checks: Sequence[Gradients], folder: Path, stem: str) -> list[Block]:
    """A table of all, a picture and a table of each; copies pictures to ``folder``, their names begin with ``stem``."""
    rows, pictures, tables = list[dict[str, str]](), list[Block](), list[Block]()
    for check in checks:
        name, worst = check.label.replace("_", " "), max(check.rows, key=_error)
        row = {"network": name, "parameters": str(len(check.rows))}
        for kind, words in _KINDS.items():
            errors = [_error(row) for row in check.rows if row["parameter"].rstrip("0123456789") == kind]
            row[f"largest of {words}"] = f"{max(errors):.1e}" if errors else "-"
        kinks = str(sum(int(row["on_a_kink"]) for row in check.rows))
        rows.append({**row, "worst parameter": worst["parameter"], "entries on a kink": kinks})
        if check.picture is not None:
            shutil.copyfile(check.picture, folder / f"{stem}{check.label}.png")
            caption = f"{capital(name)}: the largest relative error is {_error(worst):.1e}, of {worst['parameter']}."
            alt = f"Box plots of relative gradient errors of {name}, a box a parameter"
            pictures.append(Picture(f"{stem}{check.label}.png", caption, alt, folder))
        table = rows_table([{key.replace("_", " "): _cell(text) for key, text in row.items()} for row in check.rows])
        tables.append(Details(f"Every parameter of {name}", [TableBlock(table)]))
    error = f"Relative error |ga - gn| / max(eps, |ga| + |gn|), {counted(len(checks), 'network')}"
    words = f"{error}: analytic gradients ga against central differences gn in float64."
    return [Paragraph(words), TableBlock(rows_table(rows, ["worst parameter"])), *pictures, *tables] if checks else []


def _error(row: dict[str, str]) -> float:
    return float(row["largest_error"])


def _cell(text: str) -> str:
    try:
        return f"{float(text):.6g}"
    except ValueError:
        return text
