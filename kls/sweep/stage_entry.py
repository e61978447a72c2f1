"""What sweep.json says of a stage, and the lines of the log when it begins and when it has ended."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.importance import BaseImportanceEvaluator, FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

from kls.analysis.curve import Optimum
from kls.analysis.wording import counted, number, score_name, unit
from kls.config.flat_settings import SEEDS
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.sweep import intervals
from kls.sweep.found import Found, Trial
from kls.sweep.intervals import Range, value_text
from kls.sweep.stages import Stage

log = logging.getLogger("kls")

Entry = dict[str, Any]

_EVALUATORS: dict[str, Callable[[], BaseImportanceEvaluator]] = {
    "PedAnovaImportanceEvaluator": PedAnovaImportanceEvaluator,
    "FanovaImportanceEvaluator": lambda: FanovaImportanceEvaluator(seed=0),
}


def begun(stage: Stage, n_trials: int, seeds: Sequence[int], ranges: Mapping[str, Range]) -> Entry:
    """The entry of a stage that begins. seeds: of each trial; none where the settings say it."""
    searched = "; ".join(f"{name} {found.words}" for name, found in ranges.items())
    each = f", each with {stage.n_seeds} seeds" if stage.n_seeds > 1 else ""
    log.info("stage %s: %s%s; %s", stage.name, counted(n_trials, "trial"), each, searched)
    return {
        "name": stage.name,
        "trials": n_trials,
        "seeds": list(seeds),
        "sampler": stage.sampler if isinstance(stage.sampler, str) else stage.sampler["_target_"],
        "status": names.RUNNING,
        "params": {name: r.record() for name, r in ranges.items()},
        "best": None,
        "edge": [],
        "confirm": stage.confirm is not None,
    }


def ended(
    entry: Entry, stage: Stage, study: optuna.Study, found: Found, ranges: Mapping[str, Range], folder: Path
) -> Entry:
    """The entry of a stage that has ended, whose trials are in ``found``; folder: with those of its runs."""
    best, trials = found.whole(stage.name)[0], found.trials[stage.name]
    searched = [name for name in ranges if name not in SEEDS]
    more: Entry = {
        "best": {"trial": best.number, "params": best.params, found.objective: found.sign * best.value},
        "runs": _statuses(folder, len(study.trials) * stage.n_seeds),
        "status": names.FINISHED,
    }
    if stage.sampler != "grid" or (len(searched) == 1 and not stage.confirm):
        more["edge"] = intervals.edges(trials, ranges)
    curve = None if stage.confirm else found.curve(stage.name)
    if curve is not None:
        more["optimum"] = {str(stage.curve_key): _optimum(curve)}
    if len(searched) > 1 and not stage.confirm:
        more["importances"] = importances(study)
    return entry | more


def tell(entry: Entry, best: Trial, objective: str) -> None:
    """Say in the log what has come of a stage."""
    name = entry["name"]
    if len(entry["runs"]) > 1:
        log.info("stage %s: %s", name, ", ".join(f"{n} {status}" for status, n in entry["runs"].items()))
    settings = ", ".join(f"{key}={value_text(value)}" for key, value in best.params.items())
    score = number(objective, entry["best"][objective]) + unit(objective).strip()
    log.info("stage %s: best %s %s%s", name, score_name(objective), score, f" with {settings}" if settings else "")
    for key, found in entry.get("optimum", {}).items():
        place, low, high = (f"{found[end]:.3g}" for end in ("place", "low", "high"))
        log.info("stage %s: by the curve, %s=%s is best (95%% interval %s to %s)", name, key, place, low, high)
    for sentence in entry["edge"]:
        log.warning("EDGE in stage %s: %s", name, sentence)


def importances(study: optuna.Study) -> dict[str, dict[str, float]]:
    """By evaluator, the share that each setting has in the variance of the scores, if Optuna can tell.

    PED-ANOVA (Watanabe et al. 2023), and fANOVA (Hutter et al. 2014) where scikit-learn is installed.
    """
    found: dict[str, dict[str, float]] = {}
    for name, make in _EVALUATORS.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                shares = optuna.importance.get_param_importances(study, evaluator=make())
        except (ImportError, RuntimeError, ValueError):  # no scikit-learn; too few trials, all scores the same
            continue
        found[name] = {setting: round(float(share), 6) for setting, share in shares.items()}
    return found


def _statuses(folder: Path, n: int) -> dict[str, int]:
    """How many runs ended how; one that was taken away meanwhile had finished."""
    found = [str(RunFolder(folder / str(i)).read_metrics().get(names.STATUS, names.FINISHED)) for i in range(n)]
    return dict(Counter(sorted(found)))


def _optimum(curve: Optimum) -> Entry:
    place = curve.place
    return {
        "place": place.centre, "low": place.low, "high": place.high, "flat": list(curve.flat), "at_end": curve.at_end,
    }  # fmt: skip
