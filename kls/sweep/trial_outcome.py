"""What came of a trial, read from the folders of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from kls.records import names
from kls.records.run_folder import RunFolder
from kls.sweep.stage_study import Outcome


def outcome(folders: Sequence[Path], objective: str) -> Outcome:
    """Of a trial whose runs have ended; failed where one of them has no score."""
    runs = [RunFolder(folder) for folder in folders]
    metrics = [run.read_metrics() for run in runs]
    if not all(m.get(names.STATUS) in names.ENDED and objective in m for m in metrics):
        return Outcome(None)
    scores = [float(m[objective]) for m in metrics]
    pruned = any(m[names.STATUS] == names.PRUNED for m in metrics)
    score = fmean(scores)
    by_epoch = _by_epoch(runs, objective)
    if pruned:
        by_epoch |= {ceil(max(float(m["epochs"]) for m in metrics)): score}
    return Outcome(score, pruned, by_epoch, _facts(folders, metrics, scores))


def ended(folders: Sequence[Path]) -> bool:
    """Whether all runs of a trial have ended, with all that they should have left; else they have to go on."""
    whole = True
    for run in map(RunFolder, folders):
        metrics = run.metrics_at_end()
        if not metrics:
            whole = False
        elif metrics[names.STATUS] == names.FINISHED and not run.has_its_networks(metrics):
            run.write_metrics(metrics | {names.STATUS: names.INTERRUPTED})
            whole = False
    return whole


def _seed(metrics: Mapping[str, Any]) -> int:
    return int(metrics["settings"]["seed"])


def _by_epoch(runs: Sequence[RunFolder], objective: str) -> dict[int, float]:
    """Means at the whole epochs that all runs have come to."""
    histories = [{row["epoch"]: row[objective] for row in run.read_history()} for run in runs]
    shared = set.intersection(*map(set, histories))
    return {int(epoch): fmean(h[epoch] for h in histories) for epoch in sorted(shared) if epoch and epoch == int(epoch)}


def _facts(folders: Sequence[Path], metrics: Sequence[Mapping[str, Any]], scores: Sequence[float]) -> dict[str, Any]:
    """The attributes of a trial, as Optuna's database and dashboard have them."""
    facts: dict[str, Any] = {
        names.SEEDS_OF_TRIAL: [_seed(m) for m in metrics],
        names.SCORES_OF_TRIAL: list(scores),
        names.FOLDERS_OF_TRIAL: [folder.name for folder in folders],
        "steps": sum(int(m["steps"]) for m in metrics),
        "seconds": sum(float(m["seconds"]) for m in metrics),
    }
    if len(scores) > 1:
        facts[names.SD_OF_TRIAL] = stdev(scores)
    test = names.metric("test", "accuracy")
    if all(m.get(test) is not None for m in metrics):
        facts[test] = fmean(float(m[test]) for m in metrics)
    return facts
