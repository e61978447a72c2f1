"""A list of the sweeps and single runs below folders, which reads of each no more than it shows."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from tabulate import tabulate

from kls.analysis.groups import Sample, group_runs, modes_text, sections
from kls.analysis.runs import read_runs
from kls.analysis.wording import mean_sd
from kls.config.flat_settings import SEEDS
from kls.config.folder_names import is_folder_name
from kls.errors import UserError
from kls.records import checked, names
from kls.records.escape import shortened
from kls.records.folders import require_folder
from kls.records.lock import is_held
from kls.records.run_metrics import STATUSES as OF_RUNS
from kls.records.run_metrics import check_metrics
from kls.records.sweep_stages import Stage, Sweep, read_stages

STALE, DAMAGED = "stale", "damaged"
STATUSES = (*OF_RUNS, STALE, DAMAGED)

_WIDTH = 120  # characters
_NAMES, _FOLDER = (50, 30, 20, 14), 40  # most of a name: the first that leaves so many to the folder, else the last
_AGES = (("days", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


class Place(NamedTuple):
    """A folder with a sweep or a run, and when its record was last written, seconds since 1970."""

    written: float
    folder: Path
    is_sweep: bool


@dataclass(frozen=True)
class Entry:
    """A sweep or a run: its status, how many runs there are, and the scores of the best group by validation."""

    place: Place

    @cached_property
    def status(self) -> str:
        status = self._record.status if isinstance(self._record, Sweep) else self._record.get(names.STATUS)
        if status == names.RUNNING and not is_held(self.place.folder):
            return STALE
        return status if status in STATUSES else DAMAGED

    @cached_property
    def runs(self) -> int:
        if not isinstance(self._record, Sweep):
            return 1
        return sum(sum(stage.runs.values()) or self._begun(stage) for stage in self._record.stages)

    @cached_property
    def name(self) -> str:
        """Of a sweep what its command calls it, of a run its model."""
        if isinstance(self._record, Sweep):
            return self._record.called or shortened(self.place.folder.name)
        return str(self._record.get("model") or "-")

    @cached_property
    def data(self) -> str:
        """The data set of the best runs."""
        if not isinstance(self._record, Sweep):
            return str(self._record.get("data") or "-")
        return self._best[0].data if self._best else "-"

    @property
    def score(self) -> str:
        """For example "53.41 ± 0.21 (n=3)", "4 of 5 seeds learn", of one run "53.41"; "-" if there is none yet."""
        if isinstance(self._record, Sweep):
            if self._best is None:
                return "-"
            sample, modes = self._best
            text = mean_sd(sample.score, sample.mean, sample.sd)
            return modes.split(":")[0] or (f"{text} (n={sample.n})" if sample.n > 1 else text)
        value = self._record.get(names.VAL_ACCURACY)
        return "-" if value is None else mean_sd(names.VAL_ACCURACY, value, float("nan"))

    def content(self) -> dict[str, Any]:
        """All of it as plain values."""
        sample = self._best[0] if self._best else None
        value = self._record.get(names.VAL_ACCURACY) if isinstance(self._record, dict) else None
        mean, sd, n = (sample.mean, sample.sd if sample.n > 1 else None, sample.n) if sample else (value, None, 1)
        return {
            "folder": str(self.place.folder), "kind": self._kind, "name": self.name, "status": self.status,
            "runs": self.runs, names.VAL_ACCURACY: mean, "sd": sd, "n": n if mean is not None else 0, "data": self.data,
            "written": datetime.fromtimestamp(self.place.written).astimezone().isoformat(timespec="seconds"),
        }  # fmt: skip

    def cells(self, now: float, most: int) -> list[str]:
        """As a row of the table, names of no more than so many characters."""
        what, data = f"{self._kind} {shortened(self.name, most)}", shortened(self.data, most)
        return [what, self.status, f"{self.runs:,}", self.score, data, _age(now - self.place.written)]

    @property
    def _kind(self) -> str:
        return "sweep" if self.place.is_sweep else "run"

    @cached_property
    def _record(self) -> Sweep | dict[str, Any]:
        """Empty if it is damaged."""
        if self.place.is_sweep:
            return read_stages(self.place.folder, [])
        path = self.place.folder / names.METRICS
        try:
            checked.check_file(path)
            metrics = checked.read_json(path)
            check_metrics(path, metrics)
        except (UserError, FileNotFoundError, RecursionError):
            return {}
        return metrics

    @cached_property
    def _best(self) -> tuple[Sample, str] | None:
        """Scores of the best group of a sweep, and how many seeds learn if not all do."""
        if not isinstance(self._record, Sweep):
            return None
        stage = _telling(self._record)
        if stage is None or stage.best is None:
            return None
        # Where each run is a group the record says which is the best.
        alone = not (stage.seeds or {*SEEDS} & stage.params.keys())
        folder = self._inside(stage.name, *([str(stage.best.trial)] if alone else []))
        if folder is None:
            return None
        with suppress(UserError):
            groups = group_runs(sections(read_runs([folder]))[0].runs)
            sample = groups.samples(0, names.VAL_ACCURACY)
            return (sample, modes_text(groups.runs, sample)) if sample.n else None
        return None

    def _begun(self, stage: Stage) -> int:
        """How many runs of a stage have a folder."""
        folder = self._inside(stage.name)
        return 0 if folder is None else sum(path.name.isdecimal() for path in folder.iterdir())

    def _inside(self, *parts: str) -> Path | None:
        """A folder in this one that a record names; None if it is none, or leads elsewhere."""
        folder = self.place.folder
        for part in parts:
            folder /= part
            if not is_folder_name(part) or "/" in part or folder.is_symlink() or not folder.is_dir():
                return None
        return folder


def found_below(paths: Sequence[Path]) -> list[Place]:
    """The sweeps and the runs that are part of none. Raises UserError if a path is no folder, or nothing is there."""
    for path in paths:
        require_folder(path)
    found = {place.folder: place for path in paths for place in _places(path)}
    if not found:
        raise UserError(f"{', '.join(map(str, paths))}: no sweeps or runs there")
    return list(found.values())


def newest(places: Sequence[Place], limit: int, statuses: Collection[str]) -> tuple[list[Entry], int]:
    """The newest, of the given statuses if there are any, and how many there are in all; limit 0 is all."""
    entries = [Entry(place) for place in places]
    if statuses:
        entries = [entry for entry in entries if entry.status in statuses]
    most = limit or len(entries)
    return heapq.nlargest(most, entries, key=lambda entry: (entry.place.written, entry.place.folder)), len(entries)


def text(entries: Sequence[Entry], n: int) -> str:
    """A table of at most 120 columns; n: how many there are in all."""
    if not entries:
        return "none of that status"
    now, folders = time.time(), [shortened(entry.place.folder.as_posix(), 1000) for entry in entries]
    heads, room = ["what", names.STATUS, "runs", "validation %", "data", "age"], 0
    sides = ["left", "left", "right", "right", "left", "right"]
    for most in _NAMES:
        rows = [entry.cells(now, most) for entry in entries]
        widths = [max(len(head) + 2, *map(len, column)) for head, *column in zip(heads, *rows, strict=True)]
        room = _WIDTH - sum(widths) - 2 * len(widths)
        if room >= min(max(map(len, folders)), _FOLDER):
            break
    for row, folder in zip(rows, folders, strict=True):
        row.append(folder if len(folder) <= room else f"...{folder[3 - room :]}")
    table = tabulate(rows, [*heads, "folder"], "simple", colalign=[*sides, "left"], disable_numparse=True)
    more = f"\nthe newest {len(entries):,} of {n:,}; --limit 0 lists all"
    return table + (more if n > len(entries) else "")


def _places(root: Path) -> Iterator[Place]:
    """Links are not followed, nor hidden folders, nor what is inside of a sweep or a run."""
    left = [os.fspath(root)]
    while left:
        folder, inner, records = left.pop(), list[str](), dict[str, os.DirEntry[str]]()
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in (names.SWEEP, names.METRICS):
                    records[entry.name] = entry
                elif not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    inner.append(entry.path)
        record = records.get(names.SWEEP) or records.get(names.METRICS)
        if record is None:
            left += inner
        else:
            with suppress(OSError):  # gone meanwhile
                yield Place(record.stat().st_mtime, Path(folder), record.name == names.SWEEP)


def _telling(sweep: Sweep) -> Stage | None:
    """The stage whose best group stands for the sweep: the last that confirms, else that with the best score."""
    ended = [(stage.confirm, stage.best.merit, stage) for stage in sweep.stages if stage.best is not None]
    confirming = [stage for confirms, _, stage in ended if confirms]
    return confirming[-1] if confirming else max(ended, key=lambda each: each[1], default=(False, 0.0, None))[2]


def _age(seconds: float) -> str:
    """For example "3 h" or "12 days"."""
    for unit, size in _AGES:
        if seconds >= 2 * size or size == 1:
            return f"{max(int(seconds / size), 0):,} {unit}"
    raise AssertionError
