"""Trains runs together as one population, evaluates, keeps records and checkpoints, and resumes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from kls import build
from kls.controller import leave_if_orphaned
from kls.core.evaluation import evaluate
from kls.core.population import Population
from kls.data.dataset import DataSet
from kls.pruning import Pruning
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.run_record import RunRecord
from kls.settings import Settings
from kls.snapshots import Snapshots
from kls.stop_signal import StopSignal

CHUNK_STEPS = 50  # between two looks at the clock
WRITERS = 8  # runs whose files are written at once

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """A run to be made: validated settings and the folder for its files."""

    settings: Settings
    folder: Path
    resume: bool = False

    @property
    def step(self) -> int:
        """The step that training begins at. Raises UserError where the checkpoint is damaged."""
        return int(RunFolder(self.folder).read_checkpoint(names.LAST)["step"]) if self.resume else 0


class Session:
    """Training of one group of jobs that share data, architecture, order and length."""

    def __init__(self, jobs: Sequence[Job], data: DataSet) -> None:
        self.jobs, self.data = jobs, data
        shared = jobs[0].settings
        self.architecture = build.architecture(shared, data)
        feed = build.batches(shared, data)
        self.n_steps = build.n_steps(shared, feed.steps_per_epoch)
        self._periods = [shared.evaluation.every_steps or feed.steps_per_epoch]  # steps between two evaluations
        self.pruning: Pruning | None = None
        if shared.pruning.rule:
            self.pruning = Pruning(shared, [job.folder for job in jobs], feed.steps_per_epoch, self.n_steps)
            self._periods.append(self.pruning.period)
        self.snapshots = Snapshots(shared, self.n_steps) if shared.ensemble.snapshots else None
        if self.snapshots:
            self._periods.append(self.snapshots.period)
        members = [build.member(job.settings, self.n_steps) for job in jobs]
        self.population = Population(self.architecture, members, build.optimizer_maker(shared), feed)
        together = len(self.pruning.together) if self.pruning else len(jobs)
        self.records = [
            RunRecord(job.settings, job.folder, data, self.architecture, self.n_steps, together) for job in jobs
        ]
        self._started = self._saved = time.perf_counter()
        self._training_seconds = 0.0

    def run(self, on_progress: Callable[[int, int, float], None], until: int | None = None) -> None:
        """Train to the end, or to step ``until``, and leave every job's record complete.

        on_progress is called with the steps made, those to make and the best validation accuracy of the group.
        Raises KeyboardInterrupt after Ctrl-C or SIGTERM, when the checkpoints are on disk.
        """
        end = until or self.n_steps
        with StopSignal() as stop:
            self._begin()
            while self.population.step < end and self.population.ids and not stop.wanted:
                before = self.population.step
                self._advance(end, on_progress, stop)
                if self.population.step > before and self._evaluates():
                    self._evaluate()
                    self._prune()
                    if self.snapshots:
                        self.snapshots.keep(self.population, [job.folder for job in self.jobs])
                leave_if_orphaned()
                if time.perf_counter() - self._saved >= self.jobs[0].settings.checkpoint_seconds:
                    self._save(names.RUNNING)
        if stop.wanted and self.population.step < self.n_steps:
            self._save(names.INTERRUPTED)
            raise KeyboardInterrupt
        if end < self.n_steps:
            self._save(names.RUNNING)
        else:
            self._finish()

    def _begin(self) -> None:
        leave_if_orphaned()
        for i, (job, record) in enumerate(zip(self.jobs, self.records, strict=True)):
            if job.resume:
                record.resume(self.population, i)
        _write_each(self.records, lambda record: record.begin(self.population.step))
        if self.population.step == 0 and not any(record.history for record in self.records):
            self._evaluate()
        self._prune()  # where the decision was made, but not yet carried out when the training was cut

    def _evaluates(self) -> bool:
        step = self.population.step
        return step == self.n_steps or any(step % period == 0 for period in self._periods)

    def _advance(self, end: int, on_progress: Callable[[int, int, float], None], stop: StopSignal) -> None:
        """Up to the next evaluation or the next look at the clock."""
        step = self.population.step
        until = min(step + CHUNK_STEPS, end, *((step // period + 1) * period for period in self._periods))
        start = time.perf_counter()
        diverged = self.population.advance(until, lambda: stop.wanted)
        self._training_seconds += time.perf_counter() - start
        self._close_diverged(diverged)
        best = max((row["val_accuracy"] for r in self.records for row in r.history[-1:]), default=0.0)
        on_progress(self.population.step, self.n_steps, best)

    def _close_diverged(self, ids: Sequence[int]) -> None:
        for i in ids:
            self.records[i].write_divergence(
                self.population.step, self.architecture.n_classes, self._seconds(), self._training_seconds
            )

    def _evaluate(self) -> None:
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
        self._close_diverged(diverged)
        self.population.drop(diverged)

    def _prune(self) -> None:
        """Drop the members that fall behind, where it is time for it."""
        step = self.population.step
        if self.pruning is None or not self.pruning.judges(step):
            return
        lost = self.pruning.dropped(step, {i: self.records[i].history for i in self.population.ids})
        for i in lost:
            self.records[i].save_pruned(self.population, i, self._seconds(), self._training_seconds)
        self.population.drop(lost)

    def _save(self, status: str) -> None:
        seconds, training = self._seconds(), self._training_seconds
        _write_each(
            self.population.ids, lambda i: self.records[i].save(status, self.population, i, seconds, training)
        )
        self._saved = time.perf_counter()

    def _finish(self) -> None:
        """Score the final networks; only here is the test set read, and only where the settings ask for it."""
        if not self.population.ids:
            return
        splits = {"train": self.data.train, "val": self.data.val}
        if self.jobs[0].settings.evaluation.test:
            splits["test"] = build.test_split(self.jobs[0].settings, self.data)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for name, split in splits.items():
                scores = evaluate(self.population.network, split.x, split.y, self.population.lam)
                for k, i in enumerate(self.population.ids):
                    self.records[i].add_final(name, scores, k)
            if self.snapshots:
                self._score_ensemble([name for name in splits if name != "train"])
        self._save(names.FINISHED)

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


def train(jobs: Sequence[Job], on_progress: Callable[[int, int, float], None]) -> None:
    """Train jobs that can go together (see Session) and leave each one's files in its folder."""
    shared = jobs[0].settings
    with threadpool_limits(shared.threads):
        data = build.data_set(shared)
        if shared.pruning.rule:
            jobs = _abreast(jobs, data, on_progress)
        if jobs:
            Session(jobs, data).run(on_progress)


def _abreast(jobs: Sequence[Job], data: DataSet, on_progress: Callable[[int, int, float], None]) -> Sequence[Job]:
    """Bring jobs that were cut while their checkpoints were being written to the step of the foremost.

    They must be judged together. Gives those that have not ended on the way.
    """
    steps = [job.step for job in jobs]
    foremost = max(steps)
    if min(steps) == foremost:
        return jobs
    for step in sorted({*steps} - {foremost}):
        behind = [job for job, at in zip(jobs, steps, strict=True) if at == step]
        Session(behind, data).run(on_progress, until=foremost)
    going_on = [j for j in jobs if RunFolder(j.folder).read_metrics().get(names.STATUS) not in names.ENDED]
    return [Job(job.settings, job.folder, resume=True) for job in going_on]
