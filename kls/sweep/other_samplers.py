"""Samplers of packages other than Optuna: found, checked, and made to go on after a stop as they would have."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from kls.errors import UserError
from kls.records import names


def imported_class(target: str) -> type[BaseSampler]:
    """The class that package.module.Class names. Raises UserError where it is not there, or is no sampler.

    Importing runs the package's code: a target must come from the user, never from a record.
    """
    module, _, name = target.rpartition(".")
    found = getattr(imported(module, target), name, None)
    if not (isinstance(found, type) and issubclass(found, BaseSampler)) or inspect.isabstract(found):
        raise UserError(f"{target}: is no class that derives from optuna.samplers.BaseSampler")
    return found


def imported(module: str, needed_by: str) -> Any:
    """A module. Raises UserError with the package that is missing or cannot be imported."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if "." in missing:
            raise UserError(f"{needed_by}: there is no module {missing}") from None
        raise UserError(f"{needed_by} needs the package {missing}: pip install {missing}") from None
    except Exception as error:  # whatever a package does while it is imported
        raise UserError(f"{needed_by}: {module} cannot be imported: {_line(error)}") from None


def instance(target: str, arguments: dict[str, Any], seed: int) -> BaseSampler:
    """A sampler, seeded where it takes a seed. Raises UserError for arguments that it does not take."""
    kind = imported_class(target)
    parameters = inspect.signature(kind).parameters
    if "seed" in parameters:
        arguments = arguments | {"seed": seed}
    try:
        inspect.signature(kind).bind(**arguments)
    except TypeError as error:
        takes = ", ".join(name for name in parameters if name != "seed") or "no arguments"
        raise UserError(f"{target}: {error}; it takes {takes}") from None
    try:
        return kind(**arguments)
    except Exception as error:  # its own checks, and packages that it looks for only now
        raise UserError(f"{target}: cannot be made: {_line(error)}") from None


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


class OneByOne(BaseSampler):
    """Draws each parameter of a trial alone."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}


class Replayed(OneByOne):
    """One inner sampler for a whole stage, with whatever state it keeps.

    It draws for a study of its own, in memory, which asks for the same trials as the stage's and is told the same
    results, in an order that the trials' numbers and their records give; after a stop all that is played again. So it
    goes on as it would have, if its draws follow from its seed and its calls; if not, it is still told what was tried.
    """

    def __init__(self, make: Callable[[], BaseSampler]) -> None:
        self._inner = make()
        self._shadow: Study | None = None
        self._asked: list[Trial] = []
        self._told: set[int] = set()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        if names.TOLD not in trial.system_attrs:
            n = sum(1 for t in study.get_trials(deepcopy=False) if t.state.is_finished())
            study._storage.set_trial_system_attr(trial._trial_id, names.TOLD, n)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if self._shadow is None:
            self._shadow = optuna.create_study(sampler=self._inner, directions=study.directions)
        trials = study.get_trials(deepcopy=False)
        for own in trials[len(self._asked) : trial.number + 1]:
            self._ask(self._shadow, own, trials)
        return self._asked[trial.number]._suggest(param_name, param_distribution)

    def _ask(self, shadow: Study, own: FrozenTrial, trials: Sequence[FrozenTrial]) -> None:
        known = own.system_attrs.get(names.TOLD)
        for ended in trials[: known if isinstance(known, int) else 0]:
            if ended.state.is_finished() and ended.number not in self._told:
                self._tell(shadow, ended)
        asked = shadow.ask()
        for name, distribution in own.distributions.items():
            if asked._suggest(name, distribution) != own.params[name]:
                value = distribution.to_internal_repr(own.params[name])
                shadow._storage.set_trial_param(asked._trial_id, name, value, distribution)
        self._asked.append(asked)

    def _tell(self, shadow: Study, ended: FrozenTrial) -> None:
        self._told.add(ended.number)
        if ended.number >= len(self._asked):
            return
        asked = self._asked[ended.number]
        for step, value in ended.intermediate_values.items():
            asked.report(value, step)
        shadow.tell(asked, ended.values if ended.state == TrialState.COMPLETE else None, ended.state)
