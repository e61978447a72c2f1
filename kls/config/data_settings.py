"""Settings of the data set: where it comes from, how it is split and seen. See kls.config.settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from kls.config.folder_names import absolute_path
from kls.config.setting_types import Count, FilePath, Group, Positive, Seed, Share, one_of
from kls.data.source import Source
from kls.data.sources import SOURCES
from kls.data.standardise import validation_size

Reach = Annotated[int, Field(ge=0, le=31)]


class AugmentationSettings(Group):
    flip: Share
    translate: Share
    reach: Reach

    @model_validator(mode="after")
    def _shift_needs_both(self) -> AugmentationSettings:
        if (self.translate > 0) != (self.reach > 0):
            raise ValueError(f"translate={self.translate} and reach={self.reach} must both be above 0, or both be 0")
        return self

    @property
    def is_on(self) -> bool:
        """Whether it changes any picture."""
        return self.flip > 0 or self.reach > 0


class TestAugmentationSettings(AugmentationSettings):
    share: Share


class DataSettings(Group):
    source: Annotated[str, one_of(SOURCES)]
    path: Annotated[FilePath, AfterValidator(absolute_path)] | None = None
    target: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    root: FilePath
    download: bool
    seed: Seed
    split_seed: Seed
    n_train: Count | None
    n_val: Count | None
    n_test: Count | None
    augmentation: AugmentationSettings
    test_augmentation: TestAugmentationSettings
    projection: Annotated[float, Field(gt=0, le=1)] | None
    whitening: Positive | None

    @property
    def known(self) -> Source:
        """What is known of the source before it is read."""
        return SOURCES[self.source]

    @property
    def validation_examples(self) -> int | None:
        """How many are validated on; None if only the source's files say."""
        part = self.known.n_train
        return self.n_val if self.n_val is not None or part is None else validation_size(part)

    @property
    def training_examples(self) -> int | None:
        """How many are trained on; None if only the source's files say."""
        part, n_val = self.known.n_train, self.validation_examples
        return self.n_train if self.n_train is not None or part is None or n_val is None else part - n_val

    @model_validator(mode="after")
    def _file_of_the_source(self) -> DataSettings:
        self.known.check(self.path, self.target)
        return self

    @model_validator(mode="after")
    def _examples_are_there(self) -> DataSettings:
        part, test, kind, n_val = self.known.n_train, self.known.n_test, self.known.kind, self.validation_examples
        if part is not None and n_val is not None:
            if self.n_train is None and n_val >= part:
                raise ValueError(f"n_val={n_val} leaves none of the {part} training {kind}")
            if self.n_train is not None and self.n_train + n_val > part:
                together = f"n_train={self.n_train} and n_val={n_val} need {self.n_train + n_val} {kind}"
                raise ValueError(f"{together}; there are {part}")
        if test is not None and self.n_test is not None and self.n_test > test:
            raise ValueError(f"n_test={self.n_test} needs more {kind} than the {test} of the test part")
        return self

    def check_views(self, shape: tuple[int, int, int] | None, reach: int | None, name: str) -> None:
        """Raises ValueError where pictures of a shape, channels first, or, if it is None, other examples cannot be seen
        as settings ask.

        reach: of the ensemble's views. name: of the data set.
        """
        asked = {"augmentation": self.augmentation, "test_augmentation": self.test_augmentation}
        views = {f"data.{key}.reach": own.reach for key, own in asked.items() if own.is_on}
        views |= {} if reach is None else {"ensemble.reach": reach}
        for key, pixels in views.items():
            if shape is None:
                group = key.removesuffix(".reach")
                raise ValueError(f"{group}: {name} holds no pictures, and only pictures can be flipped and shifted")
            if pixels >= min(shape[1:]):
                raise ValueError(f"{key}={pixels}: must be below the sides of the pictures, {shape[1]} x {shape[2]}")

    @model_validator(mode="after")
    def _axes_to_whiten(self) -> DataSettings:
        if self.whitening is not None and self.projection is None:
            raise ValueError(f"whitening={self.whitening} needs axes: set projection, 1 to keep them all")
        return self
