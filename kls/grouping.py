"""Which jobs can be trained together as one population, and how a group is shared out over processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kls.flat_settings import MANNER, flatten
from kls.settings import CyclicSettings
from kls.training import Job

# What each member may have for itself.
OWN = ("seed", "lam", "model.init.scheme", "model.init.sigma", "model.bn.momentum")


def groups(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs of the same shapes, data, mini-batches, optimizer, evaluations and length; order is kept."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(_key(job), []).append(job)
    return list(found.values())


def _key(job: Job) -> str:
    shared: dict[str, Any] = {
        key: value
        for key, value in flatten(job.settings.model_dump()).items()
        if key not in OWN and key not in MANNER and not key.startswith("optimizer.schedule.")
    }
    plan = job.settings.optimizer.schedule
    steps = plan.steps
    if isinstance(plan, CyclicSettings) and plan.cycles is not None:
        steps = plan.cycles * 2 * plan.n_s
    shared |= {"steps": steps, "epochs": plan.epochs, "data.root": job.settings.data.root}
    if isinstance(plan, CyclicSettings) and (job.settings.pruning.rule or job.settings.ensemble.snapshots):
        shared["cycle"] = plan.n_s
    return json.dumps(shared)


def share_out(grouped: Sequence[Sequence[Job]], processes: int, max_members: int) -> list[list[Job]]:
    """Cut groups into populations so that ``processes`` have about equal numbers of members, largest first."""
    total = sum(len(group) for group in grouped)
    most = max(1, min(max_members, -(-total // processes)))
    pieces = []
    for group in grouped:
        n = -(-len(group) // most)
        pieces += [list(group[i::n]) for i in range(n)]
    return sorted(pieces, key=len, reverse=True)
