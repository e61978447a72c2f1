"""The definition of a search: a list of stages, each with its trials, sampler, budget and intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from kls.config.flat_settings import OF_SWEEPS, SEEDS, shown
from kls.config.folder_names import is_folder_name
from kls.config.setting_types import LARGEST_SEED, Group
from kls.config.settings import LONGEST_TEXT
from kls.config.validation import validate_group
from kls.sweep.narrowing import AnyNarrow
from kls.sweep.sampler_settings import check_sampler, learns

LARGEST_LIST = 10_000  # values or steps of a parameter
MOST_TRIALS = 100_000  # of a stage
LEARNING_BATCH = 10  # trials that a sampler which learns is asked for at once
LARGEST_BATCH = 10_000  # that any is asked for: Optuna looks through all that are under way for each
MOST_REPEATS = 1000
OF_THE_SWEEP = ("hydra", "sweeps", "resume", "dry_run", "max_failures", "name", *OF_SWEEPS)  # not of one of its jobs

Trials = Annotated[int, Field(ge=1, le=MOST_TRIALS)]
Repeats = Annotated[int, Field(ge=1, le=MOST_REPEATS)]


def _check_value(value: Any) -> Any:
    if isinstance(value, list) and len(value) <= LONGEST_TEXT and not any(isinstance(item, list) for item in value):
        return [_check_value(item) for item in value]
    if not _is_plain(value):
        raise ValueError("must be a finite number, a text, true, false, null, or a list of them")
    return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT and value.isprintable()
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and abs(value) <= LARGEST_SEED)


def sets(override: str) -> str:
    """The setting, or group of them, that an override such as model=9layer sets."""
    return override.split("=", 1)[0].lstrip("+~").split("@", 1)[0]


def _check_override(override: str) -> str:
    key, equals, _ = override.partition("=")
    if not (key.strip() and equals) or "\n" in override or len(override) > LONGEST_TEXT:
        raise ValueError("must be an override of a setting, such as batch_size=50")
    return check_searched(override)


def check_searched(override: str) -> str:
    """The override. Raises ValueError where it sets what is the whole sweep's."""
    own = sets(override)
    if any(own == key or own.startswith((f"{key}.", f"{key}/")) for key in OF_THE_SWEEP):
        raise ValueError("is the whole sweep's and not for one of its stages to set")
    return override


Value = Annotated[Any, AfterValidator(_check_value)]
Key = Annotated[str, AfterValidator(check_searched)]


class Parameter(Group):
    """Values of one setting: listed, or an interval (given or narrowed) sampled or taken in equal steps."""

    values: Annotated[list[Value], Field(max_length=LARGEST_LIST)] | None = None
    low: float | None = None
    high: float | None = None
    narrow: AnyNarrow | None = None
    scale: Literal["log", "linear"] = "linear"
    integer: bool = False
    steps: Annotated[int, Field(ge=1, le=LARGEST_LIST)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Parameter:
        ways = [self.values is not None, self.low is not None or self.high is not None, self.narrow is not None]
        if sum(ways) != 1:
            raise ValueError("give values, or low and high, or narrow")
        if ways[1] and (self.low is None or self.high is None or self.low >= self.high):
            raise ValueError(f"low={self.low} and high={self.high} must both be given, low below high")
        if self.scale == "log" and self.low is not None and self.low <= 0:
            raise ValueError(f"low={self.low} must be above 0 on a log scale")
        if self.values is not None and not self.values:
            raise ValueError("values must not be empty")
        return self

    @property
    def n_points(self) -> int:
        """How many values it lists or steps it takes; 1 for an interval."""
        return len(self.values) if self.values is not None else self.steps or 1


class Confirm(Group):
    """The best settings of an earlier stage again, each with several seeds, scored on the test set.

    by: "trial" takes the best trials; "curve" the place where the smooth curve through all trials of that stage's
    budget is highest, for a stage that searches one number.
    """

    source: str = Field(alias="from")
    best: Trials = 1
    seeds: Repeats = 5
    by: Literal["trial", "curve"] = "trial"

    @model_validator(mode="after")
    def _one_top(self) -> Confirm:
        if self.by == "curve" and self.best != 1:
            raise ValueError(f"best={self.best}: a curve has one highest place; leave best out, or give by: trial")
        return self


class Stage(Group):
    """One Optuna study.

    sampler: "grid" (all combinations of listed values), a name of SAMPLERS, or a _target_ with arguments beside it.
    trials: how many; a grid and a confirmation know it themselves.
    repeats: runs of each trial, with the seeds from ``seed`` of the settings on, the same for all trials; their mean
    is the trial's score. points: settings with lists of one length, whose values go together; a grid crosses them with
    its params. where: a condition (see `kls.analysis.where`) on the combinations of a grid; others are left out.
    budget: overrides for this stage's runs alone. test: whether its runs score the test set.
    batch: trials asked for at once; null is all of them, for samplers that learn 10.
    seed: of the sampler; null is the stage's place, 0, 1, ..., so that no two stages draw the same quantiles.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
    sampler: str | dict[str, Any] = "grid"
    trials: Trials | None = None
    repeats: Repeats = 1
    params: dict[Key, Parameter] = Field({}, max_length=100)
    points: dict[Key, Annotated[list[Value], Field(min_length=1, max_length=LARGEST_LIST)]] = Field({}, max_length=100)
    where: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = None
    budget: list[Annotated[str, AfterValidator(_check_override)]] = Field([], max_length=1000)
    confirm: Confirm | None = None
    test: bool = False
    batch: Trials | None = None
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = None

    @field_validator("name")
    @classmethod
    def _folder(cls, value: str) -> str:
        if not is_folder_name(value):
            raise ValueError("cannot be the name of a folder on every system")
        return value

    @field_validator("sampler", mode="before")
    @classmethod
    def _known_sampler(cls, value: Any) -> Any:
        return check_sampler(value)

    @model_validator(mode="after")
    def _fits(self) -> Stage:
        if (self.confirm is None) == (not self.searched):
            raise ValueError("a stage has params or points, or confirm")
        listed = [p.values is not None or p.steps is not None for p in self.params.values()]
        self._check_points()
        if self.gives_seeds and "seed" in self.searched:
            raise ValueError("repeats give the seeds: leave seed out of what is searched")
        if self.confirm and self.repeats != 1:
            raise ValueError(f"repeats={self.repeats}: confirm says by seeds how often each is run")
        if self.sampler == "grid":
            if self.trials is not None:
                raise ValueError("a grid's number of trials is that of its points: leave trials out")
            if not all(listed):
                raise ValueError("sampler grid needs values, or steps, for each parameter")
        elif self.trials is None:
            raise ValueError("give the number of trials")
        elif any(p.steps is not None for p in self.params.values()):
            raise ValueError("steps are for sampler grid")
        if self.n_runs > MOST_TRIALS:
            raise ValueError(f"{self.n_runs} runs are more than {MOST_TRIALS}")
        return self

    def _check_points(self) -> None:
        lengths = {name: len(values) for name, values in self.points.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} has {n}" for name, n in lengths.items())
            raise ValueError(f"points: lists that go together are of one length: {listed}")
        if both := self.points.keys() & self.params.keys():
            raise ValueError(f"{shown(min(both))}: give it in points, or in params")
        if self.sampler != "grid" and (self.points or self.where is not None):
            raise ValueError(f"{'points' if self.points else 'where'}: is for sampler grid")

    @property
    def searched(self) -> list[str]:
        """The settings that its trials differ in."""
        return [*self.points, *self.params]

    def listed(self, name: str) -> list[Any] | None:
        """The values of a setting that it lists; None of an interval."""
        return self.points[name] if name in self.points else self.params[name].values

    @property
    def gives_seeds(self) -> bool:
        """Whether it says the seeds of its runs, rather than the settings."""
        return self.n_seeds > 1 or self.confirm is not None

    @property
    def n_seeds(self) -> int:
        """Runs of each trial."""
        return self.confirm.seeds if self.confirm else self.repeats

    @property
    def n_trials(self) -> int:
        """How many trials it has, or at most: fewer settings may be there to be confirmed, or fulfil ``where``."""
        if self.confirm:
            return self.confirm.best
        rows = len(next(iter(self.points.values()), [None]))
        return self.trials or math.prod((rows, *(parameter.n_points for parameter in self.params.values())))

    @property
    def n_runs(self) -> int:
        return self.n_trials * self.n_seeds

    @property
    def asked_at_once(self) -> int:
        """How many trials its sampler is asked for before it is told of any."""
        return self.batch or (LEARNING_BATCH if self.learns else LARGEST_BATCH)

    @property
    def curve_key(self) -> str | None:
        """The number that it searches, where it is the only setting beside seeds; None otherwise."""
        searched = [name for name in self.searched if name not in SEEDS]
        return searched[0] if len(searched) == 1 and _numeric({self.name: self}, self.name, searched[0]) else None

    @property
    def scores_test(self) -> bool:
        """Whether its runs score the test set, as confirmations do."""
        return self.test or self.confirm is not None

    @property
    def learns(self) -> bool:
        """Whether the sampler looks at results, so that trials are asked for in batches."""
        return learns(self.sampler)


class Search(Group):
    """All stages, in their order."""

    stages: Annotated[list[Stage], Field(min_length=1, max_length=100)]

    @field_validator("stages")
    @classmethod
    def _own_seeds(cls, stages: list[Stage]) -> list[Stage]:
        return [s if s.seed is not None else s.model_copy(update={"seed": i}) for i, s in enumerate(stages)]

    def repeated(self, n: int) -> Search:
        """With n runs of each trial in all stages but confirmations. Raises UserError where one searches the seed."""
        stages = [s if s.confirm else s.model_copy(update={"repeats": n}) for s in self.stages]
        return validate_group(Search, {"stages": [s.model_dump(by_alias=True) for s in stages]}, "hydra.sweeper")

    @model_validator(mode="after")
    def _known_sources(self) -> Search:
        before: dict[str, Stage] = {}
        for stage in self.stages:
            sources = [p.narrow.source for p in stage.params.values() if p.narrow]
            by_curve = [p.narrow.source for p in stage.params.values() if p.narrow and p.narrow.by_curve]
            by_curve += [stage.confirm.source] if stage.confirm and stage.confirm.by == "curve" else []
            sources += [stage.confirm.source] if stage.confirm else []
            for source in sources:
                if source not in before:
                    fault = f"from={shown(source)} is no earlier stage; there are {shown(list(before))}"
                    raise ValueError(f"stage {stage.name}: {fault}")
            for name, parameter in stage.params.items():
                if parameter.narrow and not _numeric(before, parameter.narrow.source, name):
                    raise ValueError(
                        f"stage {stage.name}: {shown(name)} cannot be narrowed from stage {parameter.narrow.source}, "
                        "which does not search it among numbers"
                    )
            for source in by_curve:
                if before[source].curve_key is None:
                    raise ValueError(f"stage {stage.name}: {source} has no curve: it does not search one number alone")
            if stage.name in before:
                raise ValueError(f"stage {stage.name}: the name is taken by an earlier stage")
            before[stage.name] = stage
        return self


def _numeric(stages: Mapping[str, Stage], source: str, name: str) -> bool:
    """Whether a stage gives numbers for a parameter; a confirmation tries what its source did, with seeds."""
    stage = stages[source]
    if stage.confirm is not None:
        return _numeric(stages, stage.confirm.source, name)
    if name not in stage.searched:
        return False
    return not any(isinstance(value, bool | str | list | None) for value in stage.listed(name) or ())
