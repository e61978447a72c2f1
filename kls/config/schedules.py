"""Learning-rate schedules: the settings, the formula and the length of each kind.

A new kind is a class here, its name in `AnySchedule`, and a file in conf/optimizer/schedule/.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from kls.config.setting_types import Count, DecayFactor, Group, NonNegative, Positive


class Schedule(Group, ABC):
    """The learning rate of every update step, and how many there are."""

    epochs: Count | None
    steps: Count | None

    @abstractmethod
    def rates(self, t: np.ndarray) -> np.ndarray:
        """The rates at the update steps t = 0, 1, ...: float64, of the shape of t."""

    @property
    def cycle(self) -> int | None:
        """Steps of a cycle, at whose end the rate is lowest; None for a schedule without cycles."""
        return None

    def total_steps(self, steps_per_epoch: int) -> int:
        """Length of a training in update steps."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return self.epochs * steps_per_epoch

    @model_validator(mode="after")
    def _one_length(self) -> Schedule:
        lengths = {key: getattr(self, key) for key in ("cycles", "epochs", "steps") if hasattr(self, key)}
        if sum(value is not None for value in lengths.values()) != 1:
            given = ", ".join(f"{key}={'null' if value is None else value}" for key, value in lengths.items())
            raise ValueError(f"give exactly one of {', '.join(lengths)} and set the others to null, got {given}")
        return self


class CyclicSettings(Schedule):
    """Triangular cyclical rate (Smith 2017, section 3.1): from eta_min up to eta_max in n_s steps and down in n_s.

    In cycle l = floor(t / (2 n_s)) the top is eta_max * eta_max_factor**l, but never under eta_min.
    """

    kind: Literal["cyclic"]
    eta_min: NonNegative
    eta_max: Positive
    n_s: Count
    eta_max_factor: DecayFactor
    cycles: Count | None

    @model_validator(mode="after")
    def _ordered(self) -> CyclicSettings:
        if self.eta_min > self.eta_max:
            raise ValueError(f"eta_min={self.eta_min} must not be above eta_max={self.eta_max}")
        return self

    @property
    def cycle(self) -> int:
        return 2 * self.n_s

    def total_steps(self, steps_per_epoch: int) -> int:
        return super().total_steps(steps_per_epoch) if self.cycles is None else self.cycles * self.cycle

    def rates(self, t: np.ndarray) -> np.ndarray:
        number, position = np.divmod(np.asarray(t), self.cycle)
        top = np.maximum(self.eta_min, self.eta_max * self.eta_max_factor ** number.astype(np.float64))
        height = 1.0 - np.abs(position / self.n_s - 1.0)
        return self.eta_min + height * (top - self.eta_min)


class ConstantSettings(Schedule):
    """The same rate at every step."""

    kind: Literal["constant"]
    eta: Positive

    def rates(self, t: np.ndarray) -> np.ndarray:
        return np.full(np.shape(t), self.eta, dtype=np.float64)


class StepDecaySettings(Schedule):
    """eta * factor**floor(t / every): multiplied by ``factor`` after each ``every`` steps."""

    kind: Literal["step"]
    eta: Positive
    factor: DecayFactor
    every: Count

    def rates(self, t: np.ndarray) -> np.ndarray:
        return self.eta * self.factor ** (np.asarray(t) // self.every).astype(np.float64)


AnySchedule = Annotated[CyclicSettings | ConstantSettings | StepDecaySettings, Field(discriminator="kind")]
