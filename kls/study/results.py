"""What the steps of studies have left on disk: runs, gradient checks, plays, commands and times."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
from PIL import Image

from kls.analysis.runs import Runs, read_runs
from kls.config.study_file import Step
from kls.errors import UserError
from kls.records import checked, names
from kls.records.escape import one_line
from kls.records.folders import require_folder
from kls.study.record import StepRecord, read_record

_LARGEST = 2e7  # pixels of a picture
_T = TypeVar("_T")


class Gradients(NamedTuple):
    """A gradient check: its label, the rows of gradients.csv, and its picture, if there is one."""

    label: str
    rows: list[dict[str, str]]
    picture: Path | None


class StepResult(NamedTuple):
    """A step and what it has left: its record, runs, gradient checks or plays; and what is unreadable.

    plays: columns `names.PLAY_COLUMNS`, numbers but for way and network; NaN where there is no interval.
    """

    step: Step
    runs: Runs | None
    gradients: list[Gradients]
    record: StepRecord | None
    warnings: list[str]
    plays: pd.DataFrame | None = None

    @property
    def is_there(self) -> bool:
        return self.runs is not None or bool(self.gradients) or self.plays is not None

    @property
    def missing(self) -> str:
        """What has not been run, as a sentence; "" if all has."""
        if not self.is_there:
            return "This step has not been run yet."
        absent = {*(self.step.gradients or ())} - {check.label for check in self.gradients}
        sweeps = self.runs.sweeps.values() if self.runs is not None else ()
        going = [f"Its sweep is {sweep.status}." for sweep in sweeps if sweep.status != names.FINISHED]
        return " ".join([f"Not run yet: {', '.join(sorted(absent))}."] * bool(absent) + going)


class Results:
    """The steps of studies below ``out``; runs that steps share are read once."""

    def __init__(self, out: Path) -> None:
        """Raises UserError if there is no such folder."""
        require_folder(out)
        self._out, self._runs = out / names.STEPS, dict[str, Runs | None]()

    def step(self, step: Step) -> StepResult:
        """What ``step`` has left."""
        folder, warnings, checks = self._out / step.folder, list[str](), list[Gradients]()
        record = _if_there(read_record, folder / names.STEP, warnings)
        for label in step.gradients or ():
            rows = _if_there(_gradients, folder / label / names.GRADIENTS, warnings)
            picture = _if_there(_png, folder / label / "gradient_errors.png", warnings)
            checks += [Gradients(label, rows, picture)] if rows else []
        plays = _if_there(_plays, folder, warnings) if step.plays else None
        if step.folder not in self._runs:
            there = not step.gradients and next(folder.rglob(names.METRICS), None)
            self._runs[step.folder] = _if_there(lambda path: read_runs([path]), folder, warnings) if there else None
        return StepResult(step, self._runs[step.folder], checks, record, warnings, plays)


def _if_there(read: Callable[[Path], _T], path: Path, warnings: list[str]) -> _T | None:
    """What ``read`` makes of a file or folder; None if it is not there, or cannot be read, which adds a warning."""
    try:
        if not path.is_dir():
            checked.check_file(path)
        return read(path)
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged file raises many kinds
        warnings.append(f"skipped: {error if isinstance(error, UserError) else f'{path}: cannot be read'}")
        return None


def _gradients(path: Path) -> list[dict[str, str]]:
    rows = [{key: one_line(value) for key, value in row.items()} for row in checked.read_csv(path)]
    if not all(float(row["largest_error"]) >= 0.0 and int(row["on_a_kink"]) >= 0 and row["parameter"] for row in rows):
        raise ValueError
    return rows


def _plays(folder: Path) -> pd.DataFrame:
    found = pd.DataFrame(checked.read_csv(folder / names.PLAYS, names.PLAY_COLUMNS))
    texts = [*names.PLAY_COLUMNS[:2]]
    numbers = found.drop(columns=texts).map(float)
    if found.empty or not np.isfinite(numbers.drop(columns=["low", "high", "best"])).all(axis=None):
        raise ValueError
    return found[texts].map(one_line).join(numbers)


def _png(path: Path) -> Path:
    with Image.open(path, formats=["PNG"]) as picture:
        if picture.width * picture.height > _LARGEST:
            raise UserError(f"{path}: has {picture.width} x {picture.height} pixels")
        picture.verify()
    return path
