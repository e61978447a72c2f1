"""From a stage's definition and the trials before it to the points or intervals that it searches."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from itertools import count, islice
from statistics import fmean
from typing import Any

from kls.config.flat_settings import SEEDS
from kls.config.setting_ranges import setting_range
from kls.errors import UserError
from kls.sweep import narrowing
from kls.sweep.stages import Parameter, Stage

_MOST_VALUES = 12  # listed one by one


@dataclass(frozen=True)
class Trial:
    """A finished trial, or one that was pruned: the values of its parameters and its score, which was its last."""

    number: int
    params: dict[str, Any]
    value: float
    pruned: bool = False


@dataclass(frozen=True)
class Range:
    """What a stage searches of one parameter: an interval, or listed values; ``source`` says why."""

    low: float | None
    high: float | None
    scale: str
    values: list[Any] | None
    source: str
    integer: bool = False

    def record(self) -> dict[str, Any]:
        """As it stands in sweep.json."""
        return {key: value for key, value in asdict(self).items() if key != "integer"}

    @property
    def words(self) -> str:
        """For example "in [1e-05, 0.1], log (given)"."""
        if self.values is None:
            return f"in [{self.low:.4g}, {self.high:.4g}], {self.scale} ({self.source})"
        shown = [*map(value_text, self.values[:_MOST_VALUES]), *["..."] * (len(self.values) > _MOST_VALUES)]
        return f"in {{{', '.join(shown)}}} ({self.source})"


def value_text(value: Any) -> str:
    """A value of a setting, numbers with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def resolve(name: str, parameter: Parameter, earlier: Mapping[str, Sequence[Trial]]) -> Range:
    """The range of one parameter. Raises UserError where narrowing is not possible."""
    if parameter.values is not None:
        return Range(None, None, parameter.scale, list(parameter.values), "given")
    if parameter.narrow is None:
        assert parameter.low is not None
        assert parameter.high is not None
        low, high, source = parameter.low, parameter.high, "given"
    else:
        low, high, source = _narrowed(name, parameter, earlier[parameter.narrow.source])
    if parameter.integer:
        low, high = round(low), round(high)
    values = narrowing.steps_between(low, high, parameter.steps, parameter.scale) if parameter.steps else None
    if values and parameter.integer:
        values = list(dict.fromkeys(map(round, values)))
    return Range(low, high, parameter.scale, values, source, parameter.integer)


def _narrowed(name: str, parameter: Parameter, trials: Sequence[Trial]) -> tuple[float, float, str]:
    rule = parameter.narrow
    assert rule is not None
    pairs = [(float(t.params[name]), value) for t, value in _ranked(trials) if name in t.params]
    if not pairs:
        raise UserError(f"{name}: stage {rule.source} has no finished trial to narrow it from")
    (low, high), how = rule.interval(pairs), rule.words
    if low == high:  # one point: leave something to search, of what was tried if that was more
        low, high = narrowing.widen(narrowing.widen((low, high), -1, 2.0, parameter.scale), 1, 2.0, parameter.scale)
        tried = sorted({x for x, _ in pairs})
        if len(tried) > 1:
            low, high = narrowing.clip((low, high), (tried[0], tried[-1]))
        how += ", a single point widened by a factor of 2"
    side = narrowing.edge(pairs)
    if side and rule.widen:
        low, high = narrowing.widen((low, high), side, rule.widen, parameter.scale)
        how += f", widened past the {'lower' if side < 0 else 'upper'} end"
    low, high = narrowing.clip((low, high), setting_range(name)) if low <= high else (low, high)
    if low > high or (parameter.scale == "log" and low <= 0):
        raise UserError(
            f"{name}: {rule.rule} of {rule.source} gives {low:g} to {high:g}, no interval of a {parameter.scale} scale"
        )
    return low, high, f"narrowed from {rule.source}: {how}"


def edges(trials: Sequence[Trial], ranges: Mapping[str, Range]) -> list[str]:
    """A sentence for each numeric parameter whose best value is the smallest or largest that was tried."""
    found = []
    for name, parameter_range in ranges.items():
        pairs = [(t.params[name], value) for t, value in _ranked(trials) if _is_number(t.params.get(name))]
        numeric = parameter_range.low is not None or len(pairs) == len(trials)
        side = narrowing.edge(pairs) if pairs and numeric and name not in SEEDS else 0
        if side:
            found.append(
                f"{name}: the best, {narrowing.best_of(pairs):.4g}, is the {'smallest' if side < 0 else 'largest'} "
                "value tried; the optimum may lie outside"
            )
    return found


def _ranked(trials: Sequence[Trial]) -> list[tuple[Trial, float]]:
    """Trials and what they are compared by, of equal ones the better first. A pruned one is never the best."""
    whole = [(trial, trial.value) for trial in trials if not trial.pruned]
    best = max((value for _, value in whole), default=0.0)
    return whole + [(trial, min(trial.value, best)) for trial in trials if trial.pruned]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def grid(ranges: Mapping[str, Range]) -> list[dict[str, Any]]:
    """All combinations of the listed values; the last parameter changes fastest."""
    listed = [parameter_range.values or [] for parameter_range in ranges.values()]
    return [dict(zip(ranges, point, strict=True)) for point in itertools.product(*listed)]


def means_over_seeds(trials: Sequence[Trial]) -> list[Trial]:
    """One trial for each setting: the mean of those that differ in their seeds alone, under the first one's number.

    A lucky seed must not decide. A setting of which one trial was pruned counts as pruned.
    """
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        settings = {name: value for name, value in trial.params.items() if name not in SEEDS}
        found.setdefault(repr(sorted(settings.items())), []).append(replace(trial, params=settings))
    return [
        replace(same[0], value=fmean(t.value for t in same), pruned=any(t.pruned for t in same))
        for same in found.values()
    ]


def confirmations(stage: Stage, earlier: Mapping[str, Sequence[Trial]], used: Set[int]) -> list[dict[str, Any]]:
    """The best settings of the stage that is confirmed, each with the smallest seeds that no earlier stage has used.

    A seed that took part in the choice would flatter it.

    Raises UserError where that stage has no finished trial.
    """
    assert stage.confirm is not None
    whole = [trial for trial in earlier[stage.confirm.source] if not trial.pruned]
    trials = sorted(whole, key=lambda t: (-t.value, t.number))
    if not trials:
        raise UserError(f"stage {stage.name}: {stage.confirm.source} has no finished trial to confirm")
    seeds = list(islice((number for number in count() if number not in used), stage.confirm.seeds))
    return [{**trial.params, "seed": seed} for trial in trials[: stage.confirm.best] for seed in seeds]
