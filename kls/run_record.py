"""What a run has come to so far, and its way to the files of its folder and back."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from kls import build, environment
from kls.core.architecture import Architecture
from kls.core.evaluation import Scores
from kls.core.population import Population
from kls.data.dataset import DataSet
from kls.errors import UserError
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.settings import Settings


class RunRecord:
    """History, best network and metrics of one member of a population."""

    def __init__(
        self, settings: Settings, path: Path, data: DataSet, architecture: Architecture, steps: int, members: int
    ) -> None:
        self.settings, self.folder = settings, RunFolder(path)
        self.rates = build.rates(settings, steps)
        self.steps_per_epoch = len(data.train.x) // settings.batch_size
        self.history: list[dict[str, float]] = []
        self.best: dict[str, np.ndarray] | None = None  # not yet written to disk
        self.seconds_before = 0.0
        self.training_seconds_before = 0.0
        self.metrics: dict[str, Any] = {
            names.STATUS: names.RUNNING,
            names.MESSAGE: None,
            "data": data.name,
            "data_fingerprint": data.fingerprint,
            "n_inputs": architecture.n_inputs,
            "n_train": len(data.train.x),
            "n_val": len(data.val.x),
            "n_test": len(data.test.x),
            "layers": len(architecture.hidden) + 1,
            "parameters": architecture.n_parameters,
            "population": members,  # networks trained together; times are theirs
            "planned_steps": steps,
            "planned_epochs": steps / self.steps_per_epoch,
            "started": _now(),
            **environment.describe(),
        }

    def resume(self, population: Population, member_id: int) -> None:
        """Set a member, and this record, to where the folder's last checkpoint stands.

        Raises UserError where there is none or it does not fit, or where the data set is no longer the same.
        """
        state = self.folder.read_checkpoint(names.LAST)
        try:
            population.load_member(member_id, state)
        except (KeyError, ValueError) as error:
            path = self.folder.path / names.LAST
            raise UserError(f"{path}: does not fit the run's settings ({error})") from None
        step = population.step
        self.history = [row for row in self.folder.read_history() if row["step"] <= step]
        before = self.folder.read_metrics()
        self.folder.check_data(self.metrics["data"], self.metrics["data_fingerprint"])
        self.seconds_before = before.get("seconds") or 0.0
        self.training_seconds_before = before.get("training_seconds") or 0.0
        self.metrics["started"] = before.get("started", self.metrics["started"])

    def begin(self, step: int) -> None:
        """Write the settings, where they are not there yet, and the metrics."""
        if not self.folder.has(names.CONFIG):
            self.folder.write_config(self.settings.model_dump())
        self.write_metrics(names.RUNNING, step, 0.0, 0.0)

    def add_evaluation(self, step: int, train: Scores, val: Scores, k: int) -> bool:
        """Append a row of the history from member k's scores; says whether validation is the best so far."""
        best = max((row["val_accuracy"] for row in self.history), default=-1.0)
        row: dict[str, float] = {
            "step": step,
            "epoch": step / self.steps_per_epoch,
            "eta": float(self.rates[min(step, len(self.rates) - 1)]),
        }
        for split, scores in (("train", train), ("val", val)):
            row |= {names.metric(split, q): float(getattr(scores, q)[k]) for q in names.QUANTITIES}
        self.history.append(row)
        return row["val_accuracy"] > best

    def add_final(self, split: str, scores: Scores, k: int) -> None:
        """Note member k's scores of the final network."""
        self.metrics |= {names.metric(split, q): float(getattr(scores, q)[k]) for q in names.QUANTITIES}

    def add_ensemble(self, split: str, loss: float, accuracy: float) -> None:
        """Note the scores of the ensemble of the member's snapshots."""
        self.metrics[names.ensemble_metric(split, "loss")] = loss
        self.metrics[names.ensemble_metric(split, "accuracy")] = accuracy

    def save(
        self,
        status: str,
        population: Population,
        member_id: int,
        seconds: float,
        training_seconds: float,
        message: str | None = None,
    ) -> None:
        """Write history, checkpoints and metrics, in an order that a kill between two writes does not hurt."""
        self._write_history_and_best()
        self.folder.write_checkpoint(names.LAST, population.member_state(member_id))
        self.write_metrics(status, population.step, seconds, training_seconds, message)

    def save_pruned(self, population: Population, member_id: int, seconds: float, training_seconds: float) -> None:
        """Close the record of a member that is dropped now: its last evaluation is its result on validation."""
        last = self.history[-1]
        self.metrics |= {key: last[key] for key in (names.metric("val", q) for q in names.QUANTITIES)}
        rule, step = self.settings.pruning.rule, population.step
        message = f"fell behind the others by the rule {rule} at step {step}"
        self.save(names.PRUNED, population, member_id, seconds, training_seconds, message)

    def _write_history_and_best(self) -> None:
        self.folder.write_history(self.history)
        if self.best is not None:
            self.folder.write_checkpoint(names.BEST, self.best)
            self.best = None

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
            best = max(self.history, key=lambda row: row["val_accuracy"])
            self.metrics |= {names.BEST_VALUE: best["val_accuracy"], names.BEST_STEP: best["step"]}
        self.folder.write_metrics(self.metrics)

    def write_divergence(self, step: int, n_classes: int, seconds: float, training_seconds: float) -> None:
        """Close the record of a member whose loss stopped being finite at ``step``: it is worth a guess."""
        self._write_history_and_best()
        splits = [s for s in names.SPLITS if s != "test" or self.settings.evaluation.test]
        self.metrics |= {names.metric(split, "accuracy"): 1.0 / n_classes for split in splits}
        self.metrics |= {names.metric(split, q): None for split in splits for q in ("loss", "cost")}
        if self.settings.ensemble.snapshots:
            for split in splits[1:]:
                self.add_ensemble(split, math.inf, 1.0 / n_classes)
        self.write_metrics(
            names.DIVERGED, step, seconds, training_seconds, f"the loss was no longer finite at step {step}"
        )


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
