"""All settings of a run, validated as a whole before any data is read.

The classes mirror conf/: a key ``model.bn.momentum`` there is ``settings.model.bn.momentum`` here.
conf/ says what each one means and its unit; here stand its type, range and allowed combinations.
`kls.config.validation` puts the faults of a configuration into words.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from kls.config.data_settings import DataSettings, Reach
from kls.config.folder_names import check_folder_name
from kls.config.optimizers import AnyOptimizer
from kls.config.setting_types import (
    LARGEST_COUNT,
    Count,
    FilePath,
    Group,
    NonNegative,
    Positive,
    Rate,
    Seed,
    Whole,
)

LARGEST_STEPS = 10**8  # of a whole training
LARGEST_CHECK = 1_000_000  # examples of a gradient check
LONGEST_TEXT = 1000  # of a condition, characters

Units = Annotated[int, Field(ge=1, le=1_000_000)]


class BatchNormSettings(Group):
    enabled: bool
    placement: Literal["before", "after"]
    momentum: Rate
    epsilon: Positive
    statistics: Literal["ema", "precise", "adaptive"]
    precise_batches: Annotated[int, Field(ge=1, le=100_000)]


class InitSettings(Group):
    scheme: Literal["he", "xavier"]
    sigma: Annotated[float, Field(gt=0, le=1e6)] | None


def _one_or_many(value: Any) -> str:
    return "rates" if isinstance(value, list) else "rate"


class ModelSettings(Group):
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


class EvaluationSettings(Group):
    every_steps: Count | None
    n_train: Count
    test: bool


class EnsembleSettings(Group):
    snapshots: Annotated[int, Field(ge=0, le=1000)]
    reach: Reach | None

    @model_validator(mode="after")
    def _views_need_snapshots(self) -> EnsembleSettings:
        if self.reach is not None and not self.snapshots:
            raise ValueError(f"reach={self.reach} needs snapshots of at least 1, the final network")
        return self


class PruningSettings(Group):
    rule: Literal["median", "halving"] | None
    at: Literal["cycle", "epoch"]
    n_startup: Whole
    n_warmup: Whole
    min_resource: Count
    reduction_factor: Annotated[int, Field(ge=2, le=LARGEST_COUNT)]


class SearchSettings(Group):
    """What a sweep searches, as far as it is typed, and what it chooses by."""

    trials: Count | None = None
    sampler: str | dict[str, Any] | None = None
    repeats: Count | None = None
    points: dict[str, list[Any]] | None = None
    where: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = None
    objective: Literal["val_accuracy", "val_loss"] = "val_accuracy"
    storage: None = Field(default=None, exclude=True)  # never a setting of a run: see `kls.config.storage_setting`


class Settings(SearchSettings):
    name: Annotated[str, AfterValidator(check_folder_name)] | None
    seed: Seed
    order_seed: Seed
    lam: NonNegative
    batch_size: Count
    dtype: Literal["float32", "float64"]
    model: ModelSettings
    optimizer: AnyOptimizer
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
    def n_steps(self) -> int | None:
        """Length of the training in update steps; None if only the files of the data say."""
        n = self.data.training_examples
        return None if n is None else self.steps_of(n)

    def steps_of(self, n_train: int) -> int:
        """Length of a training with so many examples, in update steps."""
        return self.optimizer.schedule.total_steps(n_train // self.batch_size)

    @model_validator(mode="after")
    def _batches_have_a_variance(self) -> Settings:
        if self.model.bn.enabled and self.model.hidden and self.batch_size < 2:
            raise ValueError("batch_size=1 leaves batch norm no variance: give at least 2, or model.bn.enabled=false")
        return self

    @model_validator(mode="after")
    def _cycles_where_they_are_needed(self) -> Settings:
        schedule, snapshots = self.optimizer.schedule, self.ensemble.snapshots
        if schedule.cycle is None:
            if self.pruning.rule and self.pruning.at == "cycle":
                raise ValueError(f"pruning.at=cycle needs a cyclic schedule, not {schedule.kind}: set pruning.at=epoch")
            if snapshots:
                raise ValueError(
                    f"ensemble.snapshots={snapshots} needs a cyclic schedule, not {schedule.kind}: "
                    f"a snapshot ends a cycle"
                )
        return self

    @model_validator(mode="after")
    def _fits_known_data(self) -> Settings:
        if self.data.training_examples is not None:
            self.check_length(self.data.training_examples)
        if self.data.known.shape is not None:
            self.data.check_views(self.data.known.shape, self.ensemble.reach, self.data.known.name)
        return self

    def check_length(self, n_train: int) -> None:
        """Raises ValueError where so many training examples do not allow this training."""
        if self.batch_size > n_train:
            limit = f"data.n_train={n_train}" if self.data.n_train else f"the {n_train} training {self.data.known.kind}"
            raise ValueError(f"batch_size={self.batch_size} must not be above {limit}")
        steps, cycle, snapshots = self.steps_of(n_train), self.optimizer.schedule.cycle, self.ensemble.snapshots
        if steps > LARGEST_STEPS:
            raise ValueError(f"optimizer.schedule: {steps} steps in all are more than {LARGEST_STEPS}")
        if cycle is not None and snapshots > steps // cycle:
            raise ValueError(
                f"ensemble.snapshots={snapshots}: must be at most the {steps // cycle} whole cycles, "
                f"of {cycle} steps each, that a training of {steps} steps has"
            )


class GradcheckSettings(Group):
    pictures: Annotated[int, Field(ge=2, le=LARGEST_CHECK)]
    dimensions: Count
    eps: Positive
    tolerance: Positive
