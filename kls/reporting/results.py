"""What a step has left on disk: its runs as a table, its gradient tables, its commands and its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from kls.aggregate.collect import Collection, collect
from kls.aggregate.summarise import RESULTS, Summary, summarise
from kls.aggregate.varying import RunTable, is_number, run_table
from kls.errors import DamageError, UserError
from kls.records import checked, names
from kls.records.escape import one_line
from kls.records.small_files import check_small
from kls.studies.definition import Step

GRADIENTS_PICTURE = "gradient_errors.png"

_LONGEST = 1e9  # seconds of a step
_LARGEST = 2e7  # pixels of a picture
_RESULTS = (*RESULTS, names.PRUNED)
_TEST = names.metric("test", "accuracy")


@dataclass(frozen=True)
class StepRecord:
    """step.json: wall time in seconds and the commands of a step; nothing where it is missing."""

    seconds: float | None = None
    commands: Sequence[str] = ()
    ended: bool = False


@dataclass
class Runs:
    """The runs below some folders; summaries by score are made once."""

    found: Collection
    warnings: list[str] = field(default_factory=list)
    _summaries: dict[str, Summary] = field(default_factory=dict)

    @cached_property
    def table(self) -> RunTable:
        return run_table(self.found.runs)

    @cached_property
    def metric(self) -> str:
        """Test accuracy where every run with a result has one, else validation accuracy."""
        frame = self.table.frame
        results = frame[frame[names.STATUS].isin(RESULTS)]
        tested = _TEST in frame and len(results) > 0 and bool(results[_TEST].map(is_number).all())
        return _TEST if tested else names.VAL_ACCURACY

    def summary(self, score: str) -> Summary:
        """Groups by ``score``, over all settings that vary but the seeds."""
        if score not in self._summaries:
            self._summaries[score] = summarise(self.table, (), score)
        return self._summaries[score]

    @property
    def stages(self) -> list[str]:
        return list(dict.fromkeys(stage.name for sweep in self.found.sweeps.values() for stage in sweep.stages))


@dataclass(frozen=True)
class Gradients:
    """A gradient check: its label, the rows of its table, and its picture, if there is one."""

    label: str
    rows: Sequence[dict[str, str]]
    picture: Path | None


@dataclass(frozen=True)
class StepResult:
    """A step and what it has left. ``runs`` is None, and ``gradients`` empty, where there is nothing."""

    step: Step
    folder: Path
    record: StepRecord
    runs: Runs | None
    gradients: Sequence[Gradients]
    warnings: Sequence[str]

    @property
    def is_there(self) -> bool:
        return self.runs is not None or bool(self.gradients)

    @property
    def missing(self) -> str | None:
        """What has not been run, as a sentence; None where all has."""
        if not self.is_there:
            return "This step has not been run yet."
        if self.step.gradients:
            absent = [label for label in self.step.gradients if label not in {g.label for g in self.gradients}]
            return f"Not run yet: {', '.join(absent)}." if absent else None
        assert self.runs is not None
        statuses = self.runs.table.frame[names.STATUS]
        done = int(statuses.isin(_RESULTS).sum())
        status = next((s.status for s in self.runs.found.sweeps.values() if s.status != names.FINISHED), names.FINISHED)
        if status != names.FINISHED:
            return f"This step is not complete: its sweep is {status or 'unknown'}, {done:,} runs have a result so far."
        if done < len(statuses):
            return f"{len(statuses) - done:,} of the {len(statuses):,} runs of this step have no result."
        return None


class Results:
    """The steps of studies below ``out``; steps that share a folder are read once."""

    def __init__(self, out: Path) -> None:
        """Raises UserError where there is no such folder."""
        if not out.is_dir():
            raise UserError(f"{out}: {'is not a folder' if out.exists() else 'there is no such folder'}")
        self.out = out
        self._runs: dict[Path, Runs | None] = {}

    def step(self, step: Step) -> StepResult:
        """What ``step`` has left."""
        folder = self.out / names.STEPS / step.folder
        warnings: list[str] = []
        record = _record(folder / names.STEP, warnings.append)
        if step.gradients is not None:
            return StepResult(step, folder, record, None, _gradients(folder, step.gradients, warnings.append), warnings)
        if folder not in self._runs:
            self._runs[folder] = read_runs([folder]) if folder.is_dir() else None
        runs = self._runs[folder]
        return StepResult(step, folder, record, runs, (), [*warnings, *(runs.warnings if runs else [])])


def read_runs(paths: Sequence[Path]) -> Runs | None:
    """All runs under ``paths``; None where there are none."""
    warnings: list[str] = []
    try:
        return Runs(collect(paths, warnings.append), warnings)
    except UserError:
        if all(path.is_dir() for path in paths):
            return None
        raise


def _record(path: Path, warn: Callable[[str], None]) -> StepRecord:
    try:
        check_small(path)
        content = checked.read_json(path)
        seconds, commands = content.get("seconds"), content.get("commands", [])
        if not isinstance(seconds, int | float) or not 0.0 <= seconds < _LONGEST or not isinstance(commands, list):
            raise DamageError(f"{path}: is no record of a step")
        return StepRecord(float(seconds), [str(line) for line in commands], content.get("ended") is True)
    except FileNotFoundError:
        return StepRecord()
    except UserError as error:
        warn(f"skipped: {error}")
        return StepRecord()


def _gradients(folder: Path, labels: Sequence[str] | dict[str, Any], warn: Callable[[str], None]) -> list[Gradients]:
    found = []
    for label in labels:
        path = folder / label / names.GRADIENTS
        try:
            check_small(path)
            rows = [{key: one_line(value) for key, value in row.items()} for row in checked.read_csv(path)]
            for row in rows:
                _check_gradient(row)
        except FileNotFoundError:
            continue
        except (UserError, ValueError, KeyError) as error:
            reason = error if isinstance(error, UserError) else f"{path}: cannot be read as a table of gradients"
            warn(f"skipped: {reason}")
            continue
        if rows:
            found.append(Gradients(label, rows, _picture(path.with_name(GRADIENTS_PICTURE), warn)))
    return found


def _check_gradient(row: dict[str, str]) -> None:
    """Raises KeyError or ValueError where a row has no name, error or number of kinks."""
    kinks = int(row.get("on_a_kink") or 0)
    if not row["parameter"] or not float(row["largest_error"]) >= 0.0 or not 0 <= kinks < 10**9:
        raise ValueError


def _picture(path: Path, warn: Callable[[str], None]) -> Path | None:
    """The path, if a picture of the size that this project draws is there."""
    try:
        check_small(path)
        with Image.open(path, formats=["PNG"]) as picture:
            if picture.width * picture.height > _LARGEST:
                raise DamageError(f"{path}: has {picture.width} x {picture.height} pixels")
            picture.verify()
        return path
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged picture raises many kinds
        warn(f"skipped: {error}" if isinstance(error, UserError) else f"skipped: {path}: cannot be read as a picture")
        return None
