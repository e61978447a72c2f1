"""What a study is: the steps that it runs, the figures that were published, and the findings to be computed.

A study is a YAML file of conf/study/; these classes say what may stand in it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from kls.errors import UserError
from kls.records.checked import parse_yaml
from kls.records.escape import shortened
from kls.records.small_files import read_yaml_text

Scalar = bool | int | float | str | None
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]

_MOST = 1000  # steps, figures, findings
_FAULTS = 3  # that are told
_LAUNCHER = re.compile(r"hydra[./]launcher(\.[a-z]\w*)?=-?\w+")


def _setting(override: str) -> str:
    """An override of a run's settings, or of the launcher's. A study may come from anybody: it has no say in what
    Hydra loads and runs, which folder is gone on with, or what the environment holds."""
    key, assigned, value = override.lstrip("+").partition("=")
    reserved = key.startswith(("-", "~", "hydra", "resume")) and not _LAUNCHER.fullmatch(override)
    elsewhere = "." not in key and ("/" in value or ".." in value)  # a file of another folder
    if not assigned or reserved or elsewhere or "@" in key or "${" in value or "_target_" in override:
        raise ValueError(f"{shortened(override)}: give a setting as key=value; of hydra there is hydra.launcher alone")
    return override


Overrides = Annotated[list[Annotated[str, AfterValidator(_setting)]], Field(max_length=_MOST)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Step(_Part):
    """A sweep of sweeps/ by its name, or gradient checks by label; ``folder`` tells it from its like.

    overrides: of all its runs, such as model=9layer_bn. what: one sentence on what it measures.
    Two studies whose steps have the same folder share that step's runs.
    """

    name: Name
    what: str
    sweep: Name | None = None
    gradients: Annotated[dict[Name, Overrides], Field(min_length=1, max_length=100)] | None = None
    overrides: Overrides = []
    folder: Name

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        if (self.sweep is None) == (self.gradients is None):
            raise ValueError(f"step {self.name}: give sweep, or gradients")
        return self


class Figure(_Part):
    """A published figure, and which of our runs it is compared with.

    where: columns of the table of runs with their values, such as {model: 9layer_bn, stage: networks}; of several
    settings that are left, the best by validation is meant, or with ``rank`` the rank-th best.
    near: a searched setting with the value that the figure was published at; meant are the runs with the value
    that is closest on a log scale.
    score: key of metrics.json. published, sd: accuracies in percent, losses as they are. n: runs, if more than one.
    """

    what: str
    step: Name
    where: dict[str, Scalar] = {}
    rank: Count = 1
    near: dict[str, Annotated[float, Field(gt=0)]] = {}
    score: str = "test_accuracy"
    published: float
    sd: float | None = None
    n: Count = 1
    note: str | None = None


class Gain(_Part):
    """Finding: how much ``a`` has more than ``b``, with its 95 % interval. "{what} adds 9.6 points to {to}"."""

    kind: Literal["gain"]
    what: str
    to: str
    step: Name
    a: dict[str, Scalar]
    b: dict[str, Scalar]
    score: str = "test_accuracy"
    score_b: str | None = None  # of b, where it is another, such as that of the ensemble's last network


class Optimum(_Part):
    """Finding: the best value of a searched setting, its score, how flat the optimum is, and what confirmed it."""

    kind: Literal["optimum"]
    step: Name
    setting: str


class Learning(_Part):
    """Finding: at which values of ``setting`` networks learn, and at which they stay at chance, for each of ``by``."""

    kind: Literal["learning"]
    step: Name
    setting: str
    by: str
    score: str = "test_accuracy"


class Cross(_Part):
    """Finding: where a score is highest and lowest over ``by``, one or several settings, at each value of another."""

    kind: Literal["cross"]
    what: str
    step: Name
    setting: str
    by: Annotated[list[str], Field(min_length=1)]
    score: str = "test_accuracy"


class Trend(_Part):
    """Finding: how a score, or with ``of`` a gain, or the best value of a setting, moves with another setting.

    Of each value of ``setting``: the mean score; with ``of`` (a setting with two values) the difference between them,
    or where it has more values, the one with the best mean by validation.
    """

    kind: Literal["trend"]
    what: str
    step: Name
    setting: str
    of: str | None = None
    score: str = "test_accuracy"


Finding = Annotated[Gain | Optimum | Learning | Cross | Trend, Field(discriminator="kind")]


class Study(_Part):
    """key: the file's name. asked: what was asked, in a sentence or two. known: where its text and its code differ."""

    key: Name
    title: str
    asked: str
    known: str | None = None
    steps: Annotated[list[Step], Field(min_length=1, max_length=_MOST)]
    published: Annotated[list[Figure], Field(max_length=_MOST)] = []
    findings: Annotated[list[Finding], Field(max_length=_MOST)] = []

    @model_validator(mode="after")
    def _known_steps(self) -> Study:
        steps = [step.name for step in self.steps]
        for part in (*self.published, *self.findings):
            if part.step not in steps:
                raise ValueError(f"step={part.step}: there is no such step; there are {', '.join(steps)}")
        return self

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)


def read_study(path: Path) -> Study:
    """The study of a YAML file. Raises UserError, in one line, where it is none."""
    try:
        content = parse_yaml(path, read_yaml_text(path))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a study; the files of conf/study show what one holds")
    try:
        return Study.model_validate({"key": path.stem, **content})
    except ValidationError as error:
        faults = error.errors(include_url=False)
        told = [f"{shortened('.'.join(map(str, fault['loc'])))}: {fault['msg']}" for fault in faults[:_FAULTS]]
        more = f"; and {len(faults) - _FAULTS} more" if len(faults) > _FAULTS else ""
        raise UserError(f"{path}: {'; '.join(told)}{more}") from None
