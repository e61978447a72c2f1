"""What a study is: the steps that it runs, the figures that were published, and the findings to be computed.

A study is a YAML file of conf/study/; these classes say what may stand in it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from kls.config.validation import validate_group
from kls.errors import UserError
from kls.records.checked import LARGEST_YAML, parse_yaml, read_text
from kls.records.escape import shortened

Scalar = bool | int | float | str | None
_NAME = r"[a-z][a-z0-9_]*"
Name = Annotated[str, Field(pattern=f"^{_NAME}$", max_length=100)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
_Few = Field(max_length=1000)
_LAUNCHER = re.compile(r"hydra[./]launcher(\.[a-z]\w*)?=-?\w+")


def check_setting(override: str) -> str:
    """An override of a run's settings, or of the launcher's. Raises ValueError for any other: a study may come from
    anybody, and has no say in what Hydra loads and runs, which folder is resumed, or what the environment holds."""
    key, assigned, value = override.lstrip("+").partition("=")
    reserved = key.startswith(("-", "~", "hydra", "resume", "storage")) and not _LAUNCHER.fullmatch(override)
    elsewhere = "." not in key and ("/" in value or ".." in value)  # a file of another folder
    if not assigned or reserved or elsewhere or "@" in key or "${" in value or "_target_" in override:
        raise ValueError(f"{shortened(override)}: give a setting as key=value; of hydra there is hydra.launcher alone")
    return override


Overrides = Annotated[list[Annotated[str, AfterValidator(check_setting)]], _Few]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Plays(_Part):
    """Searches that are played, so many times each, with draws from a table of runs in place of trainings.

    table: the step whose sweep trains the table. setting: the number that is searched. ways: by their names, a sweep of
    sweeps/, or the stages of a search as they stand in such a file.
    """

    n: Count
    table: Name
    setting: str
    ways: Annotated[dict[Name, Name | list[dict[str, Any]]], Field(min_length=1, max_length=100)]


class Step(_Part):
    """A sweep of sweeps/ by its name, gradient checks by label, or plays of searches on the table of an earlier step.

    Studies share the runs of equal folders.

    overrides: of all its runs, such as model=9layer_bn. what: one sentence on what it measures.
    """

    name: Name
    what: str
    sweep: Name | None = None
    gradients: Annotated[dict[Name, Overrides], Field(min_length=1, max_length=100)] | None = None
    plays: Plays | None = None
    overrides: Overrides = []
    folder: Name

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        if [self.sweep, self.gradients, self.plays].count(None) != 2:
            raise ValueError(f"step {self.name}: give sweep, gradients or plays")
        return self


class Figure(_Part):
    """A published figure, and which of our runs it is compared with.

    where: columns of the table of runs with their values, such as {model: 9layer_bn, stage: networks}.
    rank: place by validation among the settings that are left, 1 is the best.
    near: a searched setting with the value that the figure was published at; the closest on a log scale is taken.
    score: key of metrics.json. published, sd: accuracies in percent, losses as they are. n: runs, if more than one.
    again: the same figure is compared with other runs in another entry, which is the one that counts.
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
    again: bool = False

    @property
    def _scale(self) -> float:
        return 100.0 if self.score.endswith("accuracy") else 1.0

    @property
    def value(self) -> float:
        """The figure in the units of records: an accuracy is a share."""
        return self.published / self._scale

    @property
    def value_sd(self) -> float | None:
        return None if self.sd is None else self.sd / self._scale


class _Finding(_Part):
    step: Name
    score: str = "test_accuracy"


class Difference(_Finding):
    """How much ``a`` has more than ``b``, with its 95 % interval. "{what} adds 9.6 points to {to}".

    a, b: as ``where`` of a figure. score_b: of b, if it is another, such as that of the ensemble's last network.
    """

    kind: Literal["difference"]
    what: str
    to: str
    a: dict[str, Scalar]
    b: dict[str, Scalar]
    score_b: str | None = None


class Optimum(_Part):
    """The best value of a searched setting, its score, how flat the optimum is, and what confirmed it."""

    kind: Literal["optimum"]
    step: Name
    setting: str


class Learning(_Finding):
    """At which values of ``setting`` networks learn, and at which they stay at chance, for each of ``by``."""

    kind: Literal["learning"]
    setting: str
    by: str


class Comparison(_Finding):
    """At which values of ``by``, one or several settings, a score is highest, at each value of another."""

    kind: Literal["comparison"]
    what: str
    setting: str
    by: Annotated[list[str], Field(min_length=1)]


class Trend(_Finding):
    """How a mean score moves with a setting; with ``of``, a setting of two values, the difference between them.

    If ``of`` has more values, its best one by validation.
    """

    kind: Literal["trend"]
    what: str
    setting: str
    of: str | None = None


class PlayedWays(_Part):
    """What each way of searching that a step plays costs, and how far from the best its answers are.

    published: the ways that somebody published; the sentence says which of them was best.
    """

    kind: Literal["plays"]
    step: Name
    published: Annotated[list[Name], Field(min_length=1), _Few]


Finding = Annotated[Difference | Optimum | Learning | Comparison | Trend | PlayedWays, Field(discriminator="kind")]


class Study(_Part):
    """A study. known: how its text and its code differ.

    key: the file's name. order: its place among the studies that "all" runs. asked: its question, a sentence or two.
    """

    key: Name
    order: Count | None = None
    title: str
    asked: str
    known: str | None = None
    steps: Annotated[list[Step], Field(min_length=1), _Few]
    published: Annotated[list[Figure], _Few] = []
    findings: Annotated[list[Finding], _Few] = []

    @model_validator(mode="after")
    def _known_steps(self) -> Study:
        steps = [step.name for step in self.steps]
        for part in (*self.published, *self.findings):
            if part.step not in steps:
                raise ValueError(f"step={part.step}: there is no such step; there are {', '.join(steps)}")
        return self

    @model_validator(mode="after")
    def _known_plays(self) -> Study:
        tables = set[str]()
        for step in self.steps:
            if step.plays and step.plays.table not in tables:
                raise ValueError(f"step {step.name}: table={step.plays.table} is no earlier step with a sweep")
            tables |= {step.name} if step.sweep else set()
        for finding in self.findings:
            plays = self.step(finding.step).plays
            if isinstance(finding, PlayedWays):
                if unknown := {*finding.published} - {*(plays.ways if plays else ())}:
                    raise ValueError(f"step {finding.step}: plays no way {min(unknown)}")
            elif plays:
                raise ValueError(f"step {finding.step}: a finding of kind {finding.kind} takes runs, and has plays")
        return self

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)


def read_study(path: Path) -> Study:
    """The study of a YAML file. Raises UserError, in one line, if there is none or it is not valid."""
    try:
        content = parse_yaml(path, read_text(path, LARGEST_YAML))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a study; the files of conf/study show what one holds")
    if not re.fullmatch(_NAME, path.stem):
        raise UserError(f"{path}: the name of a study's file must be small letters, digits and _, as my_study.yaml")
    try:
        return validate_group(Study, {"key": path.stem, **content})
    except UserError as faults:
        raise UserError(f"{path}: {'; '.join(str(faults).splitlines()[:3])}") from None
