"""What a run has come to so far, and its way to the files of its folder and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from kls.config import build
from kls.config.flat_settings import EXECUTION, OF_SWEEPS, flatten
from kls.config.model_name import model_name
from kls.config.settings import Settings
from kls.core.architecture import Architecture
from kls.core.evaluation import Scores
from kls.core.population import Population
from kls.data.dataset import DataSet
from kls.errors import DamageError, UserError
from kls.records import checked, environment, names
from kls.records.run_folder import RunFolder


class RunRecord:
    """History, best network and metrics of one member of a population."""

    def __init__(
        self,
        settings: Settings,
        path: Path,
        model: str | None,
        data: DataSet,
        architecture: Architecture,
        steps: int,
        members: int,
    ) -> None:
        """model: what tables call the network; None is as before, or by the files of conf/model."""
        self.settings, self.folder = settings, RunFolder(path)
        self.rates = build.rates(settings, steps)
        self.steps_per_epoch = len(data.train.x) // settings.batch_size
        self.history: list[dict[str, float]] = []
        self.best: dict[str, np.ndarray] | None = None  # not yet written to disk
        self.best_accuracy = -1.0
        self.seconds_before = 0.0
        self.training_seconds_before = 0.0
        before = self._before(data)
        self.ended = self.folder.ended  # then its history and metrics stay as they are
        self.end_step = steps + 1  # the first at which it is no longer in the population
        if self.ended and before[names.STATUS] in (names.DIVERGED, names.PRUNED):
            self.end_step = int(before["steps"]) + (before[names.STATUS] == names.PRUNED)
        self.metrics: dict[str, Any] = {
            "schema": names.SCHEMA,
            names.STATUS: names.RUNNING,
            names.MESSAGE: None,
            "model": str(model or before.get("model") or model_name(settings)),
            "settings": {key: value for key, value in flatten(settings.model_dump()).items() if key not in EXECUTION},
            **data.facts,
            names.IMAGE_SHAPE: data.image_shape,
            "n_inputs": architecture.n_inputs,
            "n_train": len(data.train.x),
            "n_val": len(data.val.x),
            "n_test": len(data.test.x),
            "layers": len(architecture.hidden) + 1,
            "parameters": architecture.n_parameters,
            "population": members,  # networks trained together; times are theirs
            "planned_steps": steps,
            "planned_epochs": steps / self.steps_per_epoch,
            "started": before.get("started") or _now(),
            **environment.describe(),
        }

    def _before(self, data: DataSet) -> dict[str, Any]:
        """The metrics that the run has left; none where they are damaged, which is set aside.

        Raises UserError where they tell of other data.
        """
        try:
            metrics = self.folder.read_metrics()
        except DamageError:
            checked.set_aside(self.folder.path / names.METRICS)
            return {}
        self.folder.check_data(data.facts)
        return metrics

    def resume(self, state: Mapping[str, np.ndarray]) -> None:
        """Set this record to where a checkpoint stands."""
        self.history = _rows(state)
        self.seconds_before, self.training_seconds_before = map(float, state["seconds"])
        self.best_accuracy = max((row[names.VAL_ACCURACY] for row in self.history), default=-1.0)

    def usable(self, state: Mapping[str, np.ndarray], snapshots: Mapping[str, int]) -> bool:
        """Whether the run can go on from a checkpoint: its best network until then and its snapshots are there.

        snapshots: files of those that are kept, and their steps. Damaged files are set aside.
        """
        rows = _rows(state)
        needed = {name: at for name, at in snapshots.items() if at <= int(state["step"])}
        if rows:
            needed[names.BEST] = int(max(rows, key=lambda row: row[names.VAL_ACCURACY])["step"])
        for name, at in needed.items():
            try:
                if int(self.folder.read_checkpoint(name)["step"]) < at:
                    return False
            except DamageError:
                checked.set_aside(self.folder.path / name)
                return False
            except (UserError, KeyError):
                return False
        return True

    def begin(self, step: int) -> None:
        """Write the settings, and the metrics unless the run has ended already."""
        if not self.folder.has(names.CONFIG):
            self.folder.write_config(self.settings.model_dump(exclude=set(OF_SWEEPS)))
        if not self.ended:
            self.write_metrics(names.RUNNING, step, 0.0, 0.0)

    def add_evaluation(self, step: int, train: Scores, val: Scores, k: int) -> bool:
        """Append a row of the history from member k's scores; says whether validation is the best so far."""
        best = self.best_accuracy
        row: dict[str, float] = {
            "step": step,
            "epoch": step / self.steps_per_epoch,
            "eta": float(self.rates[min(step, len(self.rates) - 1)]),
        }
        for split, scores in (("train", train), ("val", val)):
            row |= {names.metric(split, q): float(getattr(scores, q)[k]) for q in names.QUANTITIES}
        self.history.append(row)
        self.best_accuracy = max(best, row[names.VAL_ACCURACY])
        return row[names.VAL_ACCURACY] > best

    def add_final(self, split: str, scores: Scores | None = None, k: int = 0) -> None:
        """Note member k's scores of the final network, by default those of the last evaluation."""
        for q in names.QUANTITIES:
            key = names.metric(split, q)
            self.metrics[key] = self.history[-1][key] if scores is None else float(getattr(scores, q)[k])

    def add_ensemble(self, split: str, loss: float, accuracy: float) -> None:
        """Note the scores of the ensemble of the member's snapshots."""
        self.metrics[names.ensemble_metric(split, "loss")] = loss
        self.metrics[names.ensemble_metric(split, "accuracy")] = accuracy

    def save_checkpoint(
        self, population: Population, member_id: int, seconds: float, training_seconds: float
    ) -> None:
        """Write all that the run needs to go on from here, and the best network before it."""
        self._write_best()
        times = (seconds + self.seconds_before, training_seconds + self.training_seconds_before)
        rows = [[row[column] for column in names.HISTORY_COLUMNS] for row in self.history]
        state = population.member_state(member_id) | {
            "history": np.array(rows).reshape(-1, len(names.HISTORY_COLUMNS)),
            "seconds": np.array(times),
            "settings": np.array(self.settings.model_dump_json()),
        }
        self.folder.write_checkpoint(names.LAST, state)

    def save(
        self, status: str, step: int, seconds: float, training_seconds: float, message: str | None = None
    ) -> None:
        """Write history and metrics, unless the run has ended already."""
        if not self.ended:
            self._write_best()
            self.folder.write_history(self.history)
            self.write_metrics(status, step, seconds, training_seconds, message)

    def _write_best(self) -> None:
        if self.best is not None:
            self.folder.write_checkpoint(names.BEST, self.best)
            self.best = None

    def save_pruned(self, step: int, seconds: float, training_seconds: float) -> None:
        """Close the record of a member that is dropped now: its last evaluation is its result on validation."""
        self.add_final("val")
        message = f"fell behind the others by the rule {self.settings.pruning.rule} at step {step}"
        self.save(names.PRUNED, step, seconds, training_seconds, message)

    def write_metrics(
        self, status: str, step: int, seconds: float, training_seconds: float, message: str | None = None
    ) -> None:
        """Write metrics.json as things stand after ``step`` updates."""
        training_seconds += self.training_seconds_before
        self.metrics |= {
            names.STATUS: status,
            names.MESSAGE: message,
            "steps": step,
            "epochs": step / self.steps_per_epoch,
            "seconds": seconds + self.seconds_before,
            "training_seconds": training_seconds,
            "steps_per_second": step / training_seconds if training_seconds else None,
            "ended": _now(),
        }
        if self.history:
            best = max(self.history, key=lambda row: row[names.VAL_ACCURACY])
            self.metrics |= {names.BEST_VAL_ACCURACY: best[names.VAL_ACCURACY], names.BEST_STEP: best["step"]}
        self.folder.write_metrics(self.metrics)

    def write_divergence(self, step: int, n_classes: int, seconds: float, training_seconds: float) -> None:
        """Close the record of a member whose loss stopped being finite at ``step``: it is worth a guess."""
        splits = [s for s in names.SPLITS if s != "test" or self.settings.evaluation.test]
        guess = {"accuracy": 1.0 / n_classes, "loss": math.log(n_classes), "cost": math.log(n_classes)}
        self.metrics |= {names.metric(split, q): value for split in splits for q, value in guess.items()}
        if self.settings.ensemble.snapshots:
            for split in splits[1:]:
                self.add_ensemble(split, guess["loss"], guess["accuracy"])
        self.save(names.DIVERGED, step, seconds, training_seconds, f"the loss was no longer finite at step {step}")


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _rows(state: Mapping[str, np.ndarray]) -> list[dict[str, float]]:
    """The history that a checkpoint holds."""
    rows = [dict(zip(names.HISTORY_COLUMNS, map(float, row), strict=True)) for row in state["history"]]
    return [row | {"step": int(row["step"])} for row in rows]
