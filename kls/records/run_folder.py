"""One run's folder: its settings, history, metrics and checkpoints, written whole and read back."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from kls.errors import UserError
from kls.records import names
from kls.records.atomic import atomic_path, write_csv, write_json, write_text


class RunFolder:
    """Reads and writes the files of a run in ``path``; every write leaves whole files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_config(self, config: dict[str, Any]) -> None:
        """The resolved settings, as YAML."""
        write_text(self.path / names.CONFIG, yaml.safe_dump(config, sort_keys=False))

    def read_config(self) -> dict[str, Any]:
        """The resolved settings. Raises UserError where there are none."""
        path = self.path / names.CONFIG
        if not path.is_file():
            raise UserError(f"{self.path}: not a run's folder, it has no {names.CONFIG}")
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
        if not isinstance(config, dict):
            raise UserError(f"{path}: holds no settings")
        return config

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        write_json(self.path / names.METRICS, metrics)

    def read_metrics(self) -> dict[str, Any]:
        """The metrics, empty where none have been written. Raises UserError where they are damaged."""
        path = self.path / names.METRICS
        if not path.is_file():
            return {}
        try:
            metrics = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path}: not valid JSON ({error})") from None
        if not isinstance(metrics, dict):
            raise UserError(f"{path}: holds no metrics")
        return metrics

    def check_data(self, name: str, fingerprint: str) -> None:
        """Raises UserError where the run's metrics tell of another data set than the one given."""
        metrics = self.read_metrics()
        for key, now in (("data", name), ("data_fingerprint", fingerprint)):
            if metrics.get(key, now) != now:
                raise UserError(f"{self.path}: {key} was {metrics[key]} and is now {now}")

    def write_pruning(self, record: dict[str, Any]) -> None:
        """With whom the run trains, and who of them was dropped at which step."""
        write_json(self.path / names.PRUNING, record)

    def read_pruning(self) -> dict[str, Any] | None:
        """As written; None where the run is not pruned. Raises UserError where the file is damaged."""
        path = self.path / names.PRUNING
        if not path.is_file():
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            return {"together": list(record["together"]), "dropped": dict(record["dropped"])}
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: cannot be read as a record of pruning ({error!r})") from None

    def write_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        """One row an evaluation; numbers are written so that reading gives the same bits."""
        write_csv(self.path / names.HISTORY, rows, names.HISTORY_COLUMNS)

    def read_history(self) -> list[dict[str, float]]:
        """Rows as written. Raises UserError where the file is missing or damaged."""
        path = self.path / names.HISTORY
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
                if not file.tell():
                    raise ValueError("it is empty")
            return [
                {column: (int if column == "step" else float)(row[column]) for column in names.HISTORY_COLUMNS}
                for row in rows
            ]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: cannot be read as a history ({error!r})") from None

    def write_checkpoint(self, name: str, state: Mapping[str, np.ndarray]) -> None:
        """Arrays of numbers or strings, as npz; never pickled objects."""
        with atomic_path(self.path / name) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **state)

    def read_checkpoint(self, name: str) -> dict[str, np.ndarray]:
        """Arrays as written. Raises UserError where the file is missing or damaged."""
        path = self.path / name
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                state = {key: archive[key] for key in archive.files}
            if not all(isinstance(value, np.ndarray) for value in state.values()):
                raise ValueError("it holds something that is not an array")
            return state
        except FileNotFoundError:
            raise UserError(f"{path}: there is no checkpoint yet") from None
        except Exception as error:  # a damaged zip raises many kinds
            raise UserError(f"{path}: cannot be read as a checkpoint ({error})") from None

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

