"""Trains runs together as one population, evaluates, keeps records and checkpoints, and resumes."""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from kls.config import blas, build
from kls.config.settings import Settings
from kls.core.evaluation import evaluate
from kls.core.population import Population
from kls.data.dataset import DataSet, Split
from kls.errors import UserError
from kls.records import names
from kls.records.arrays import check_shapes
from kls.records.lease import Lease
from kls.records.lock import only_process
from kls.training.pruning import Pruning
from kls.training.resume_point import resume_point
from kls.training.run_inputs import put_inputs
from kls.training.run_record import RunRecord
from kls.training.snapshots import Snapshots
from kls.training.stop_signal import Stopped, StopSignal

CHUNK_STEPS = 50  # between two looks at the clock
WRITERS = 8  # runs whose files are written at once
ORPHAN_SECONDS = 60.0  # that a worker whose controller was killed has to leave its folders

T = TypeVar("T")

_PARENT = os.getppid()  # when a worker begins; an orphan gets another, on POSIX


@dataclass(frozen=True)
class Job:
    """A run to be made, or gone on with: validated settings, the folder of its files, and what tables call its network.

    model: by default as the run was called before, or by the files of conf/model.
    """

    settings: Settings
    folder: Path
    model: str | None = None


class Session:
    """Training of one group of jobs that share data, architecture, order and length."""

    def __init__(self, jobs: Sequence[Job], data: DataSet, lease: Lease) -> None:
        self.jobs, self.data, self.lease = jobs, data, lease
        shared = jobs[0].settings
        self.architecture = build.architecture(shared, data.inputs)
        feed = build.batches(shared, data)
        self.n_steps = shared.optimizer.schedule.total_steps(feed.steps_per_epoch)
        self._periods = [shared.evaluation.every_steps or feed.steps_per_epoch]  # steps between two evaluations
        self.pruning: Pruning | None = None
        if shared.pruning.rule:
            self.pruning = Pruning(shared, feed.steps_per_epoch, self.n_steps)
            self._periods.append(self.pruning.period)
        self.snapshots = Snapshots(shared, self.n_steps) if shared.ensemble.snapshots else None
        if self.snapshots:
            self._periods.append(self.snapshots.period)
        members = [build.member(job.settings, self.n_steps) for job in jobs]
        self.population = Population(self.architecture, members, shared.optimizer.make, feed)
        self.records = [
            RunRecord(job.settings, job.folder, job.model, data, self.architecture, self.n_steps, len(jobs))
            for job in jobs
        ]
        self._started = self._saved = time.perf_counter()
        self._saved_step: int | None = None
        self._training_seconds = 0.0

    def run(self, on_progress: Callable[[int, int, float], None]) -> None:
        """Train to the end, and leave every job's record complete.

        on_progress is called with the steps made, those to make and the best validation accuracy of the group.
        Raises Stopped after a signal that asks for it, when the checkpoints are on disk; UserError where a checkpoint
        does not fit the settings, or the data are no longer the same; OSError where a file cannot be written, or
        another process has taken over (LeaseLostError).
        """
        with StopSignal() as stop:
            self._begin()
            while self.population.step < self.n_steps and self.population.ids and stop.wanted is None:
                before = self.population.step
                diverged = self._advance(on_progress, stop)
                evaluated = self.population.step > before and self._evaluates()
                if evaluated:
                    diverged += self._evaluate()
                    if self.snapshots:
                        self.lease.check()
                        self.snapshots.keep(self.population, [job.folder for job in self.jobs])
                    self._prune()
                self._close_diverged(diverged)
                self._look_up(evaluated)
            if stop.wanted is not None and self.population.step < self.n_steps:
                self._save(names.INTERRUPTED)
            else:
                self._finish()
        if stop.wanted is not None:
            raise Stopped(stop.wanted)

    def _begin(self) -> None:
        leave_if_orphaned()
        self.lease.check()
        states = resume_point(self.records, self.snapshots.files if self.snapshots else {})
        for i, state in states.items():
            try:
                check_shapes(state, self.population.member_state(i))
                self.population.load_member(i, state)
            except (KeyError, TypeError, ValueError) as error:
                path = self.records[i].folder.path / names.LAST
                raise UserError(f"{path}: does not fit the run's settings ({error})") from None
            self.records[i].resume(state)
        if states:
            self.population.drop([i for i in self.population.ids if i not in states])
            self._saved_step = self.population.step
        _write_each(self.records, lambda record: record.begin(self.population.step))
        put_inputs(self.data.inputs, [job.folder for job in self.jobs])
        if not states:
            self._close_diverged(self._evaluate())
        self._prune()  # where the decision was made, but not carried out for all when the training was cut

    def _look_up(self, evaluated: bool) -> None:
        """Once in a while: whether to stop as an orphan, a sign of life, and checkpoints where it is time for them."""
        leave_if_orphaned()
        self.lease.show_life()
        wait = self.jobs[0].settings.checkpoint_seconds
        if evaluated if wait == 0 else time.perf_counter() - self._saved >= wait:
            self._save(names.RUNNING)

    def _evaluates(self) -> bool:
        step = self.population.step
        return step == self.n_steps or any(step % period == 0 for period in self._periods)

    def _advance(self, on_progress: Callable[[int, int, float], None], stop: StopSignal) -> list[int]:
        """Up to the next evaluation or the next look at the clock. Returns the members that diverged on the way."""
        step = self.population.step
        until = min(step + CHUNK_STEPS, self.n_steps, *((step // period + 1) * period for period in self._periods))
        start = time.perf_counter()
        diverged = self.population.advance(until, lambda: stop.wanted is not None)
        self._training_seconds += time.perf_counter() - start
        best = max((record.best_accuracy for record in self.records), default=0.0)
        on_progress(self.population.step, self.n_steps, max(best, 0.0))
        return diverged

    def _close_diverged(self, ids: Sequence[int]) -> None:
        """End the runs of members that are no longer in the population."""
        if not ids:
            return
        self._save(names.RUNNING)  # first: an end is only written when the others' checkpoints are without them
        for i in ids:
            self.records[i].write_divergence(
                self.population.diverged_at.get(i, self.population.step),
                self.architecture.n_classes,
                self._seconds(),
                self._training_seconds,
            )

    def _evaluate(self) -> list[int]:
        """Score train and validation. Returns the members whose loss is no longer finite."""
        n = self.jobs[0].settings.evaluation.n_train
        network, lam = self.population.network, self.population.lam
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            train = evaluate(network, self.data.train.x[:n], self.data.train.y[:n], lam)
            val = evaluate(network, self.data.val.x, self.data.val.y, lam)
        finite = np.isfinite(val.loss) & np.isfinite(train.loss)
        diverged = [i for k, i in enumerate(self.population.ids) if not finite[k]]
        for k, i in enumerate(self.population.ids):
            if finite[k] and self.records[i].add_evaluation(self.population.step, train, val, k):
                self.records[i].best = network.member_state(k) | {"step": np.array(self.population.step)}
        self.population.drop(diverged)
        return diverged

    def _prune(self) -> None:
        """Drop the members that fall behind, where it is time for it."""
        step = self.population.step
        if self.pruning is None or not self.pruning.judges(step):
            return
        lost = self.pruning.dropped({i: self.records[i].history for i in self.population.ids})
        if lost:
            self._save(names.RUNNING)
        for i in lost:
            self.records[i].save_pruned(step, self._seconds(), self._training_seconds)
        self.population.drop(lost)

    def _save(self, status: str) -> None:
        """Write the checkpoints of all members, and only then the metrics of any."""
        seconds, training, step = self._seconds(), self._training_seconds, self.population.step
        ids, records = self.population.ids, self.records
        leave_if_orphaned()
        self.lease.check()
        if self._saved_step != step:  # else the checkpoint before would be lost for the same one
            _write_each(ids, lambda i: records[i].save_checkpoint(self.population, i, seconds, training))
        _write_each(ids, lambda i: records[i].save(status, step, seconds, training))
        self._saved, self._saved_step = time.perf_counter(), step

    def _finish(self) -> None:
        """Score the final networks; only here is the test set read, and only where the settings ask for it."""
        if self.population.ids:
            self._score()
            self._save(names.FINISHED)
        for record in self.records:
            record.folder.forget(names.PREVIOUS)

    def _score(self) -> None:
        """The final scores; what the last evaluation, at the end of every training, has scored is not scored again."""
        evaluation, n = self.jobs[0].settings.evaluation, len(self.data.train.x)
        splits: dict[str, Split | None] = {"train": self.data.train if evaluation.n_train < n else None, "val": None}
        if evaluation.test:
            splits["test"] = build.test_split(self.jobs[0].settings, self.data)
        network, lam = self.population.network, self.population.lam
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for name, split in splits.items():
                scores = None if split is None else evaluate(network, split.x, split.y, lam)
                for k, i in enumerate(self.population.ids):
                    self.records[i].add_final(name, scores, k)
            if self.snapshots:
                self._score_ensemble([name for name in splits if name != "train"])

    def _score_ensemble(self, splits: Sequence[str]) -> None:
        assert self.snapshots is not None
        ids, shared = self.population.ids, self.jobs[0].settings
        folders = [self.jobs[i].folder for i in ids]
        for name in splits:
            views, labels = build.views(shared, self.data, name), getattr(self.data, name).y
            losses, accuracies = self.snapshots.scores(self.architecture, folders, shared.batch_size, views, labels)
            for i, loss, accuracy in zip(ids, losses, accuracies, strict=True):
                self.records[i].add_ensemble(name, float(loss), float(accuracy))

    def _seconds(self) -> float:
        return time.perf_counter() - self._started


def _write_each(items: Sequence[T], write: Callable[[T], None]) -> None:
    """Write files for each item, several at once: most of the time goes by in waiting for the disk."""
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, items))


def train(
    jobs: Sequence[Job],
    on_progress: Callable[[int, int, float], None],
    patience: float = 0.0,
    timeout: float = math.inf,
) -> None:
    """Train jobs that can go together (see Session) and leave each one's files in its folder.

    patience, timeout: as of `only_process`.
    """
    shared, folders = jobs[0].settings, [job.folder for job in jobs]
    with only_process(*folders, patience=patience, timeout=timeout) as lease, blas.limited(shared.threads):
        Session(jobs, build.data_set(shared), lease).run(on_progress)


def leave_if_orphaned() -> None:
    """End this process, with the jobs that wait in it, if it is a worker of joblib's whose controller has died.

    A worker that outlived its controller would write into folders that a resumed sweep uses again.
    """
    if os.getppid() != _PARENT and multiprocessing.current_process().name.startswith("Loky"):
        os._exit(1)  # an exception would end one job only
