"""One run's folder: its settings, history, metrics and checkpoints, written whole and read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kls.errors import DamageError, UserError
from kls.records import checked, names
from kls.records.arrays import read_arrays, write_arrays


class RunFolder:
    """Reads and writes the files of a run in ``path``; every write leaves whole files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_config(self, config: dict[str, Any]) -> None:
        """The resolved settings, as YAML."""
        checked.write_yaml(self.path / names.CONFIG, config)

    def read_config(self) -> dict[str, Any]:
        """The resolved settings. Raises UserError where there are none, DamageError where they are damaged."""
        try:
            return checked.read_yaml(self.path / names.CONFIG)
        except FileNotFoundError:
            raise UserError(f"{self.path}: not a run's folder, it has no {names.CONFIG}") from None

    def _check_config(self) -> None:
        """As `read_config`, without the time that YAML takes."""
        path = self.path / names.CONFIG
        if not self.has(names.CONFIG):
            raise UserError(f"{path}: is missing")
        if not checked.check_yaml(path, checked.read_text(path)):
            self.read_config()

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        checked.write_json(self.path / names.METRICS, metrics)

    def read_metrics(self) -> dict[str, Any]:
        """The metrics, empty where none have been written. Raises DamageError."""
        try:
            return checked.read_json(self.path / names.METRICS)
        except FileNotFoundError:
            return {}

    def check_data(self, now: Mapping[str, Any]) -> None:
        """Raises UserError where the run's metrics are of other data, or axes of a projection, than ``now``."""
        metrics = self.read_metrics()
        for key, value in now.items():
            if metrics.get(key, value) != value:
                raise UserError(f"{self.path}: {key} was {metrics[key]} and is now {value}")

    def write_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        """One row an evaluation; numbers are written so that reading gives the same bits."""
        checked.write_csv(self.path / names.HISTORY, rows, names.HISTORY_COLUMNS)

    def read_history(self) -> list[dict[str, float]]:
        """Rows as written. Raises DamageError where the file is missing or damaged."""
        path = self.path / names.HISTORY
        try:
            return [
                {column: (int if column == "step" else float)(row[column]) for column in names.HISTORY_COLUMNS}
                for row in checked.read_csv(path, names.HISTORY_COLUMNS)
            ]
        except (FileNotFoundError, KeyError, ValueError) as error:
            raise DamageError(f"{path}: cannot be read as a history ({error!r})") from None

    def write_checkpoint(self, name: str, state: Mapping[str, np.ndarray]) -> None:
        """Arrays of numbers or strings, as npz; never pickled objects. Of last.npz the one before is kept."""
        write_arrays(self.path / name, state, self.path / names.PREVIOUS if name == names.LAST else None)

    def read_checkpoint(self, name: str) -> dict[str, np.ndarray]:
        """Arrays as written. Raises UserError where the file is missing, DamageError where it is damaged."""
        try:
            return read_arrays(self.path / name)
        except FileNotFoundError:
            raise UserError(f"{self.path / name}: there is no checkpoint yet") from None

    def go_back_to(self, name: str) -> None:
        """Make a checkpoint the last one, of which another follows on what was trained after it."""
        if name != names.LAST:
            (self.path / name).replace(self.path / names.LAST)

    def has_its_networks(self, metrics: Mapping[str, Any]) -> bool:
        """Whether the checkpoints of a run that has finished are whole and of its end; damaged ones are set aside."""
        for name, step in ((names.LAST, metrics.get("steps")), (names.BEST, metrics.get(names.BEST_STEP))):
            try:
                if int(self.read_checkpoint(name)["step"]) != step:
                    return False
            except DamageError:
                checked.set_aside(self.path / name)
                return False
            except (UserError, KeyError):
                return False
        return True

    def forget(self, name: str) -> None:
        """Remove a file that this run has written and no longer needs."""
        (self.path / name).unlink(missing_ok=True)

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    @property
    def ended(self) -> bool:
        """Whether the run has come to its end, with records that can be read; damaged ones are set aside."""
        return bool(self.metrics_at_end())

    def metrics_at_end(self) -> dict[str, Any]:
        """The metrics of a run that has ended, see `ended`; empty of others."""
        found: list[Any] = []
        for name, read in (
            (names.METRICS, self.read_metrics),
            (names.CONFIG, self._check_config),
            (names.HISTORY, self.read_history),
        ):
            try:
                found.append(read())
            except UserError:
                if self.has(name):
                    checked.set_aside(self.path / name)
        metrics: dict[str, Any] = found[0] if len(found) == 3 else {}
        return metrics if metrics.get(names.STATUS) in names.ENDED else {}
