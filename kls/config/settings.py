"""All settings of a run, validated as a whole before any data is read.

The classes mirror conf/: a key ``model.bn.momentum`` there is ``settings.model.bn.momentum`` here.
conf/ says what each one means and its unit; here stand its type, range and allowed combinations.
`kls.config.validation` puts the faults of a configuration into words.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

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
    Share,
    Whole,
    one_of,
)
from kls.data.dataset import SOURCES

TRAINING_PICTURES, TEST_PICTURES = 50_000, 10_000  # of both sources
LARGEST_STEPS = 10**8  # of a whole training

Reach = Annotated[int, Field(ge=0, le=31)]
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


class AugmentationSettings(Group):
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


class DataSettings(Group):
    source: Annotated[str, one_of(SOURCES)]
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


class Settings(Group):
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
    def n_steps(self) -> int:
        """Length of the training in update steps."""
        return self.optimizer.schedule.total_steps(self.data.training_pictures // self.batch_size)

    @model_validator(mode="after")
    def _batches_fit(self) -> Settings:
        pictures = self.data.training_pictures
        if self.batch_size > pictures:
            limit = f"data.n_train={pictures}" if self.data.n_train else f"the {pictures} training pictures"
            raise ValueError(f"batch_size={self.batch_size} must not be above {limit}")
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
        schedule, snapshots = self.optimizer.schedule, self.ensemble.snapshots
        if schedule.cycle is None:
            if self.pruning.rule and self.pruning.at == "cycle":
                raise ValueError(f"pruning.at=cycle needs a cyclic schedule, not {schedule.kind}: set pruning.at=epoch")
            if snapshots:
                raise ValueError(
                    f"ensemble.snapshots={snapshots} needs a cyclic schedule, not {schedule.kind}: "
                    f"a snapshot ends a cycle"
                )
        elif snapshots > self.n_steps // schedule.cycle:
            raise ValueError(
                f"ensemble.snapshots={snapshots}: must be at most the {self.n_steps // schedule.cycle} whole cycles, "
                f"of {schedule.cycle} steps each, that a training of {self.n_steps} steps has"
            )
        return self


class GradcheckSettings(Group):
    pictures: Annotated[int, Field(ge=2, le=TRAINING_PICTURES)]
    dimensions: Count
    eps: Positive
    tolerance: Positive
