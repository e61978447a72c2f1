"""Trains groups of jobs as populations, over as many processes as there are cores to use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from joblib import Parallel, cpu_count, delayed

from kls.grouping import share_out
from kls.pruning import keep_together
from kls.training import Job, train


def train_groups(grouped: Sequence[Sequence[Job]], n_jobs: int, max_members: int) -> dict[Path, BaseException]:
    """Train every job; gives the errors of those that failed, by folder.

    n_jobs: processes, -1 for as many as cores. max_members: of one population.
    Raises what joblib raises where a process is killed; the jobs' checkpoints then say how far they came.
    """
    processes = cpu_count() if n_jobs == -1 else n_jobs
    pieces = share_out(grouped, processes, max_members)
    if not pieces:
        return {}
    for piece in pieces:
        if piece[0].settings.pruning.rule:
            keep_together([job.folder for job in piece])
    if len(pieces) == 1 or processes == 1:
        found = [train_together(piece) for piece in pieces]
    else:
        found = Parallel(n_jobs=min(processes, len(pieces)), batch_size=1)(delayed(train_together)(p) for p in pieces)
    return {folder: error for errors in found for folder, error in errors.items()}


def train_together(jobs: Sequence[Job]) -> dict[Path, BaseException]:
    """Train one population. Where that fails, each job is tried alone, so that one's fault costs no other."""
    try:
        train(jobs, lambda step, total, best: None)
    except Exception as error:
        if len(jobs) == 1:
            return {jobs[0].folder: error}
        again = [Job(job.settings, job.folder, job.resume) for job in jobs]
        return {folder: e for job in again for folder, e in train_together([job]).items()}
    return {}
