"""All settings of a run, validated as a whole before any data is read.

The classes mirror conf/: a key ``model.bn.momentum`` there is ``settings.model.bn.momentum`` here.
conf/ says what each one means and its unit; here stand its type, range and allowed combinations.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from kls.errors import UserError

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BatchNormSettings(_Group):
    enabled: bool
    placement: Literal["before", "after"]
    momentum: Rate
    epsilon: Positive
    statistics: Literal["ema", "precise", "adaptive"]
    precise_batches: Count


class InitSettings(_Group):
    scheme: Literal["he", "xavier"]
    sigma: Positive | None


def _one_or_many(value: Any) -> str:
    return "rates" if isinstance(value, list) else "rate"


class ModelSettings(_Group):
    hidden: list[Count]
    bn: BatchNormSettings
    init: InitSettings
    dropout: Annotated[Annotated[Rate, Tag("rate")] | Annotated[list[Rate], Tag("rates")], Discriminator(_one_or_many)]
    label_smoothing: Rate

    @model_validator(mode="after")
    def _one_rate_a_layer(self) -> ModelSettings:
        if isinstance(self.dropout, list) and len(self.dropout) != len(self.hidden):
            raise ValueError(f"dropout needs one rate a hidden layer ({len(self.hidden)}), got {len(self.dropout)}")
        return self

    @property
    def dropout_rates(self) -> tuple[float, ...]:
        """The rate of each hidden layer."""
        return tuple(self.dropout) if isinstance(self.dropout, list) else (self.dropout,) * len(self.hidden)


class _Length(_Group):
    epochs: Count | None
    steps: Count | None

    @model_validator(mode="after")
    def _exactly_one(self) -> _Length:
        lengths = {key: getattr(self, key) for key in ("cycles", "epochs", "steps") if hasattr(self, key)}
        if sum(value is not None for value in lengths.values()) != 1:
            given = ", ".join(f"{key}={'null' if value is None else value}" for key, value in lengths.items())
            raise ValueError(f"give exactly one of {', '.join(lengths)} and set the others to null, got {given}")
        return self


class CyclicSettings(_Length):
    kind: Literal["cyclic"]
    eta_min: NonNegative
    eta_max: Positive
    n_s: Count
    eta_max_factor: Positive
    cycles: Count | None

    @field_validator("eta_max_factor")
    @classmethod
    def _not_growing(cls, value: float) -> float:
        if value > 1:
            raise ValueError("must be at most 1")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> CyclicSettings:
        if self.eta_min > self.eta_max:
            raise ValueError(f"eta_min={self.eta_min} must not be above eta_max={self.eta_max}")
        return self


class ConstantSettings(_Length):
    kind: Literal["constant"]
    eta: Positive


class StepDecaySettings(_Length):
    kind: Literal["step"]
    eta: Positive
    factor: Annotated[float, Field(gt=0, le=1)]
    every: Count


ScheduleSettings = Annotated[CyclicSettings | ConstantSettings | StepDecaySettings, Field(discriminator="kind")]


class SGDSettings(_Group):
    kind: Literal["sgd"]
    momentum: Rate
    schedule: ScheduleSettings


class AdamSettings(_Group):
    kind: Literal["adam"]
    beta1: Rate
    beta2: Rate
    epsilon: Positive
    schedule: ScheduleSettings


class AugmentationSettings(_Group):
    flip: Share
    translate: Share
    reach: Annotated[int, Field(ge=0, le=31)]

    @model_validator(mode="after")
    def _shift_needs_both(self) -> AugmentationSettings:
        if (self.translate > 0) != (self.reach > 0):
            raise ValueError(f"translate={self.translate} and reach={self.reach} must both be above 0, or both be 0")
        return self


class TestAugmentationSettings(AugmentationSettings):
    share: Share


class DataSettings(_Group):
    source: Literal["synthetic", "cifar10"]
    root: str
    download: bool
    seed: Seed
    split_seed: Seed
    n_train: Count | None
    n_val: Count
    n_test: Count | None
    augmentation: AugmentationSettings
    test_augmentation: TestAugmentationSettings
    projection: Annotated[float, Field(gt=0, le=1)] | None

    @model_validator(mode="after")
    def _pictures_stay_pictures(self) -> DataSettings:
        if self.projection is not None and (
            self.augmentation.flip or self.augmentation.reach or self.test_augmentation.share
        ):
            raise ValueError(
                f"projection={self.projection} leaves no pictures to augment: set it to null, or drop augmentation"
            )
        return self


class EvaluationSettings(_Group):
    every_steps: Count | None
    n_train: Count
    test: bool


class PruningSettings(_Group):
    rule: Literal["median", "halving"] | None
    at: Literal["cycle", "epoch"]
    n_startup: Annotated[int, Field(ge=0)]
    n_warmup: Annotated[int, Field(ge=0)]
    min_resource: Count
    reduction_factor: Annotated[int, Field(ge=2)]


def is_folder_name(value: object) -> bool:
    """Whether a run's name leads to a folder under outputs/ and nowhere else."""
    return isinstance(value, str) and bool(value.strip()) and not value.startswith((".", "/")) and ".." not in value


class Settings(_Group):
    name: str | None
    seed: Seed
    order_seed: Seed
    lam: NonNegative
    batch_size: Count
    dtype: Literal["float32", "float64"]
    model: ModelSettings
    optimizer: Annotated[SGDSettings | AdamSettings, Field(discriminator="kind")]
    data: DataSettings
    evaluation: EvaluationSettings
    ensemble: bool
    pruning: PruningSettings
    checkpoint_seconds: NonNegative
    threads: Count
    plots: bool
    progress: bool
    resume: str | None
    dry_run: bool
    max_failures: Annotated[int, Field(ge=0)]

    @field_validator("name")
    @classmethod
    def _plain_folder_name(cls, value: str | None) -> str | None:
        if value is not None and not is_folder_name(value):
            raise ValueError("must be a folder name under outputs/, such as my_study or studies/first")
        return value

    @model_validator(mode="after")
    def _batches_fit(self) -> Settings:
        if self.data.n_train is not None and self.batch_size > self.data.n_train:
            raise ValueError(f"batch_size={self.batch_size} must not be above data.n_train={self.data.n_train}")
        if self.model.bn.enabled and self.model.hidden and self.batch_size < 2:
            raise ValueError("batch_size=1 leaves batch norm no variance: give at least 2, or model.bn.enabled=false")
        return self

    @model_validator(mode="after")
    def _cycles_where_they_are_needed(self) -> Settings:
        schedule = self.optimizer.schedule
        if not isinstance(schedule, CyclicSettings):
            if self.pruning.rule and self.pruning.at == "cycle":
                raise ValueError(f"pruning.at=cycle needs a cyclic schedule, not {schedule.kind}: set pruning.at=epoch")
            if self.ensemble:
                raise ValueError(f"ensemble=true needs a cyclic schedule, not {schedule.kind}: a snapshot ends a cycle")
        return self


class GradcheckSettings(_Group):
    pictures: Annotated[int, Field(ge=2)]
    dimensions: Count
    eps: Positive
    tolerance: Positive


# Settings that say how a run is carried out, not what it computes: they may change on resume.
MANNER = (
    "name",
    "resume",
    "dry_run",
    "max_failures",
    "threads",
    "plots",
    "progress",
    "checkpoint_seconds",
    "data.root",
    "data.download",
)

_TAGS = {"sgd", "adam", "cyclic", "constant", "step", "rate", "rates"}  # of unions, in the place of a fault


G = TypeVar("G", bound=BaseModel)


def validate(config: dict[str, Any]) -> Settings:
    """The settings of a resolved configuration.

    Raises UserError with a line a fault: the key, its value and what is allowed.
    """
    return validate_group(Settings, config)


def validate_group(group: type[G], config: Any, prefix: str = "") -> G:
    """One group of settings; ``prefix`` is its key in the whole configuration. Raises UserError as `validate`."""
    try:
        return group.model_validate(config)
    except ValidationError as error:
        lines = dict.fromkeys(_line(fault, prefix) for fault in error.errors(include_url=False))
        raise UserError("\n".join(lines)) from None


def _line(fault: Any, prefix: str) -> str:
    parts = [prefix] if prefix else []
    for part in fault["loc"]:
        if isinstance(part, int) and parts:
            parts[-1] += f"[{part}]"
        elif str(part) not in _TAGS:
            parts.append(str(part))
    key = ".".join(parts)
    if fault["type"] == "extra_forbidden":
        return f"{key}: there is no such setting; see conf/ for those there are"
    if fault["type"] == "missing":
        return f"{key}: is missing"
    if fault["type"] == "union_tag_invalid":
        return f"{key}.kind={fault['ctx']['tag']}: must be one of {fault['ctx']['expected_tags']}"
    says = fault["msg"].replace("Input should be", "must be").removeprefix("Value error, ")
    if isinstance(fault["input"], dict):
        return f"{key}: {says}" if key else says
    return f"{key}={_shown(fault['input'])}: {says}"


def _shown(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "..."
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level with dotted keys; lists stay lists."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Lines "key: old -> new" for all settings that decide what a run computes and are not the same."""
    was, now = flatten(old), flatten(new)
    keys = [key for key in {**was, **now} if key not in MANNER and was.get(key) != now.get(key)]
    return [f"{key}: {_shown(was.get(key))} -> {_shown(now.get(key))}" for key in keys]
