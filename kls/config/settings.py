"""All settings of a run, validated as a whole before any data is read.

The classes mirror conf/: a key ``model.bn.momentum`` there is ``settings.model.bn.momentum`` here.
conf/ says what each one means and its unit; here stand its type, range and allowed combinations.
`kls.config.validation` tells the faults of a configuration in words.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from kls.config.folder_names import check_folder_name, check_path

TRAINING_PICTURES, TEST_PICTURES = 50_000, 10_000  # of both sources
LARGEST_COUNT = 10**9
LARGEST_STEPS = 10**8  # of a whole training
LARGEST_SEED = 2**63 - 1

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Whole = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Reach = Annotated[int, Field(ge=0, le=31)]
Units = Annotated[int, Field(ge=1, le=1_000_000)]
FilePath = Annotated[str, AfterValidator(check_path)]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BatchNormSettings(_Group):
    enabled: bool
    placement: Literal["before", "after"]
    momentum: Rate
    epsilon: Positive
    statistics: Literal["ema", "precise", "adaptive"]
    precise_batches: Annotated[int, Field(ge=1, le=100_000)]


class InitSettings(_Group):
    scheme: Literal["he", "xavier"]
    sigma: Annotated[float, Field(gt=0, le=1e6)] | None


def _one_or_many(value: Any) -> str:
    return "rates" if isinstance(value, list) else "rate"


class ModelSettings(_Group):
    hidden: Annotated[list[Units], Field(max_length=1000)]
    bn: BatchNormSettings
    init: InitSettings
    dropout: Annotated[
        Annotated[Rate, Tag("rate")] | Annotated[list[Rate], Field(max_length=1000), Tag("rates")],
        Discriminator(_one_or_many),
    ]
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
    eta_max_factor: Annotated[float, Field(gt=0, le=1)]
    cycles: Count | None

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


AnySchedule = CyclicSettings | ConstantSettings | StepDecaySettings
ScheduleSettings = Annotated[AnySchedule, Field(discriminator="kind")]


def total_steps(schedule: AnySchedule, steps_per_epoch: int) -> int:
    """Length of a training in update steps."""
    if schedule.steps is not None:
        return schedule.steps
    if schedule.epochs is not None:
        return schedule.epochs * steps_per_epoch
    assert isinstance(schedule, CyclicSettings)
    assert schedule.cycles is not None
    return schedule.cycles * 2 * schedule.n_s


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
    reach: Reach

    @model_validator(mode="after")
    def _shift_needs_both(self) -> AugmentationSettings:
        if (self.translate > 0) != (self.reach > 0):
            raise ValueError(f"translate={self.translate} and reach={self.reach} must both be above 0, or both be 0")
        return self


class TestAugmentationSettings(AugmentationSettings):
    share: Share


class DataSettings(_Group):
    source: Literal["synthetic", "cifar10"]
    root: FilePath
    download: bool
    seed: Seed
    split_seed: Seed
    n_train: Count | None
    n_val: Count
    n_test: Annotated[int, Field(ge=1, le=TEST_PICTURES)] | None
    augmentation: AugmentationSettings
    test_augmentation: TestAugmentationSettings
    projection: Annotated[float, Field(gt=0, le=1)] | None
    whitening: Positive | None

    @property
    def training_pictures(self) -> int:
        """How many pictures are trained on."""
        return TRAINING_PICTURES - self.n_val if self.n_train is None else self.n_train

    @model_validator(mode="after")
    def _pictures_are_there(self) -> DataSettings:
        if self.n_train is None and self.n_val >= TRAINING_PICTURES:
            raise ValueError(f"n_val={self.n_val} leaves none of the {TRAINING_PICTURES} training pictures")
        if self.n_train is not None and self.n_train + self.n_val > TRAINING_PICTURES:
            together = f"n_train={self.n_train} and n_val={self.n_val} need {self.n_train + self.n_val} pictures"
            raise ValueError(f"{together}; there are {TRAINING_PICTURES}")
        return self

    @model_validator(mode="after")
    def _axes_to_whiten(self) -> DataSettings:
        if self.whitening is not None and self.projection is None:
            raise ValueError(f"whitening={self.whitening} needs axes: set projection, 1 to keep them all")
        return self


class EvaluationSettings(_Group):
    every_steps: Count | None
    n_train: Count
    test: bool


class EnsembleSettings(_Group):
    snapshots: Annotated[int, Field(ge=0, le=1000)]
    reach: Reach | None

    @model_validator(mode="after")
    def _views_need_snapshots(self) -> EnsembleSettings:
        if self.reach is not None and not self.snapshots:
            raise ValueError(f"reach={self.reach} needs snapshots of at least 1, the final network")
        return self


class PruningSettings(_Group):
    rule: Literal["median", "halving"] | None
    at: Literal["cycle", "epoch"]
    n_startup: Whole
    n_warmup: Whole
    min_resource: Count
    reduction_factor: Annotated[int, Field(ge=2, le=LARGEST_COUNT)]


class Settings(_Group):
    name: Annotated[str, AfterValidator(check_folder_name)] | None
    seed: Seed
    order_seed: Seed
    lam: NonNegative
    batch_size: Count
    dtype: Literal["float32", "float64"]
    model: ModelSettings
    optimizer: Annotated[SGDSettings | AdamSettings, Field(discriminator="kind")]
    data: DataSettings
    evaluation: EvaluationSettings
    ensemble: EnsembleSettings
    pruning: PruningSettings
    checkpoint_seconds: Annotated[float, Field(ge=0, le=1e9)]
    threads: Annotated[int, Field(ge=1, le=1024)]
    plots: bool
    progress: bool
    resume: FilePath | None
    dry_run: bool
    max_failures: Whole

    @property
    def n_steps(self) -> int:
        """Length of the training in update steps."""
        return total_steps(self.optimizer.schedule, self.data.training_pictures // self.batch_size)

    @model_validator(mode="after")
    def _batches_fit(self) -> Settings:
        pictures = self.data.training_pictures
        if self.batch_size > pictures:
            told = f"data.n_train={pictures}" if self.data.n_train else f"the {pictures} training pictures"
            raise ValueError(f"batch_size={self.batch_size} must not be above {told}")
        if self.model.bn.enabled and self.model.hidden and self.batch_size < 2:
            raise ValueError("batch_size=1 leaves batch norm no variance: give at least 2, or model.bn.enabled=false")
        return self

    @model_validator(mode="after")
    def _training_ends(self) -> Settings:
        if self.n_steps > LARGEST_STEPS:
            raise ValueError(f"optimizer.schedule: {self.n_steps} steps in all are more than {LARGEST_STEPS}")
        return self

    @model_validator(mode="after")
    def _cycles_where_they_are_needed(self) -> Settings:
        schedule = self.optimizer.schedule
        if not isinstance(schedule, CyclicSettings):
            if self.pruning.rule and self.pruning.at == "cycle":
                raise ValueError(f"pruning.at=cycle needs a cyclic schedule, not {schedule.kind}: set pruning.at=epoch")
            if self.ensemble.snapshots:
                raise ValueError(
                    f"ensemble.snapshots={self.ensemble.snapshots} needs a cyclic schedule, not {schedule.kind}: "
                    f"a snapshot ends a cycle"
                )
        elif self.ensemble.snapshots > self.n_steps // (2 * schedule.n_s):
            raise ValueError(
                f"ensemble.snapshots={self.ensemble.snapshots}: must be at most the "
                f"{self.n_steps // (2 * schedule.n_s)} whole cycles, of {2 * schedule.n_s} steps each, "
                f"that a training of {self.n_steps} steps has"
            )
        return self


class GradcheckSettings(_Group):
    pictures: Annotated[int, Field(ge=2, le=TRAINING_PICTURES)]
    dimensions: Count
    eps: Positive
    tolerance: Positive
