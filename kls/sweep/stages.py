"""The definition of a search: a list of stages, each with its trials, sampler, budget and intervals."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Scalar = bool | int | float | str | None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


class Narrow(_Part):
    """An interval taken from the trials of an earlier stage by a rule of ``narrowing``."""

    source: str = Field(alias="from")
    rule: Literal["range_of_best", "around_best", "neighbours_of_best"]
    k: Annotated[int, Field(ge=1)] = 5
    factor: Annotated[float, Field(gt=1)] = 3.0
    widen: Annotated[float, Field(gt=1)] | None = None


class Parameter(_Part):
    """Values of one setting: listed, or an interval (given or narrowed) sampled or taken in equal steps."""

    values: list[Scalar | list[Scalar]] | None = None
    low: float | None = None
    high: float | None = None
    narrow: Narrow | None = None
    scale: Literal["log", "linear"] = "linear"
    integer: bool = False
    steps: Annotated[int, Field(ge=1)] | None = None

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


class Confirm(_Part):
    """The best settings of an earlier stage again, each with several seeds, scored on the test set."""

    source: str = Field(alias="from")
    best: Annotated[int, Field(ge=1)] = 1
    seeds: Annotated[int, Field(ge=1)] = 5


class Stage(_Part):
    """One Optuna study.

    sampler: "random", "tpe", "grid" (all combinations of listed values) or an Optuna sampler by _target_.
    trials: how many; a grid and a confirmation know it themselves.
    budget: overrides for this stage's runs alone. test: whether its runs score the test set.
    batch: trials asked for at once; null is all of them, for samplers that learn 10.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    sampler: Literal["random", "tpe", "grid"] | dict[str, Any] = "grid"
    trials: Annotated[int, Field(ge=1)] | None = None
    params: dict[str, Parameter] = {}
    budget: list[str] = []
    confirm: Confirm | None = None
    test: bool = False
    batch: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("sampler", mode="before")
    @classmethod
    def _known_sampler(cls, value: Any) -> Any:
        if value not in ("random", "tpe", "grid") and not (isinstance(value, dict) and "_target_" in value):
            raise ValueError("must be 'random', 'tpe', 'grid', or an Optuna sampler by _target_")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Stage:
        if (self.confirm is None) == (not self.params):
            raise ValueError("a stage has params, or confirm")
        listed = [p.values is not None or p.steps is not None for p in self.params.values()]
        if self.sampler == "grid":
            if self.trials is not None:
                raise ValueError("a grid's number of trials is that of its points: leave trials out")
            if not all(listed):
                raise ValueError("sampler grid needs values, or steps, for each parameter")
        elif self.trials is None:
            raise ValueError("give the number of trials")
        elif any(p.steps is not None for p in self.params.values()):
            raise ValueError("steps are for sampler grid")
        return self

    @property
    def first_point(self) -> dict[str, Any]:
        """A value of each parameter whose range is known before any trial."""
        known = {name: p.values[0] if p.values is not None else p.low for name, p in self.params.items()}
        whole = {name for name, p in self.params.items() if p.integer and p.values is None}
        return {n: round(v) if n in whole else v for n, v in known.items() if v is not None}  # type: ignore[arg-type]

    @property
    def n_trials(self) -> int:
        """How many trials it has, or at most has: fewer settings than asked for may be there to be confirmed."""
        if self.confirm:
            return self.confirm.best * self.confirm.seeds
        points = [len(p.values) if p.values is not None else p.steps or 1 for p in self.params.values()]
        return self.trials or math.prod(points)

    @property
    def scores_test(self) -> bool:
        """Whether its runs score the test set, as confirmations do."""
        return self.test or self.confirm is not None

    @property
    def learns(self) -> bool:
        """Whether the sampler looks at results, so that trials are asked for in batches."""
        return self.sampler == "tpe" or isinstance(self.sampler, dict)


class Search(_Part):
    """All stages, in their order."""

    stages: Annotated[list[Stage], Field(min_length=1)]

    @model_validator(mode="after")
    def _known_sources(self) -> Search:
        before: dict[str, Stage] = {}
        for stage in self.stages:
            sources = [p.narrow.source for p in stage.params.values() if p.narrow]
            sources += [stage.confirm.source] if stage.confirm else []
            for source in sources:
                if source not in before:
                    raise ValueError(f"stage {stage.name}: from={source} is no earlier stage; there are {list(before)}")
            for name, parameter in stage.params.items():
                if parameter.narrow and not _numeric(before[parameter.narrow.source], name):
                    raise ValueError(
                        f"stage {stage.name}: {name} cannot be narrowed from stage {parameter.narrow.source}, "
                        "which does not search it among numbers"
                    )
            if stage.name in before:
                raise ValueError(f"stage {stage.name}: the name is taken by an earlier stage")
            before[stage.name] = stage
        return self


def _numeric(stage: Stage, name: str) -> bool:
    """Whether a stage gives numbers for a parameter; a confirmation tries what its source did."""
    if name not in stage.params:
        return stage.confirm is not None
    return not any(isinstance(value, bool | str | list | None) for value in stage.params[name].values or ())
