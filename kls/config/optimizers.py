"""Optimizers: the settings of each kind, and the object of kls.core that they describe.

A new option is a field here, with its value in conf/optimizer/, and its formula in kls.core. A new kind is a class
here and its name in `AnyOptimizer`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from kls.config.schedules import AnySchedule
from kls.config.setting_types import Group, Positive, Rate
from kls.core.adam import Adam
from kls.core.parameter import Block
from kls.core.population import Optimizer
from kls.core.sgd import SGD


class OptimizerSettings(Group, ABC):
    """What is asked of every kind."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many numbers it keeps for each parameter."""

    @abstractmethod
    def make(self, blocks: Sequence[Block]) -> Optimizer:
        """The optimizer of a population's blocks of parameters."""


class SGDSettings(OptimizerSettings):
    """Stochastic gradient descent."""

    kind: Literal["sgd"]
    momentum: Rate
    schedule: AnySchedule

    @property
    def slots(self) -> int:
        return 1 if self.momentum else 0

    def make(self, blocks: Sequence[Block]) -> SGD:
        from kls.config.blas import add_product  # SciPy, which only a training needs

        return SGD(blocks, self.momentum, add_product)


class AdamSettings(OptimizerSettings):
    """Adam (Kingma & Ba 2015)."""

    kind: Literal["adam"]
    beta1: Rate
    beta2: Rate
    epsilon: Positive
    schedule: AnySchedule

    @property
    def slots(self) -> int:
        return 2

    def make(self, blocks: Sequence[Block]) -> Adam:
        return Adam(blocks, self.beta1, self.beta2, self.epsilon)


AnyOptimizer = Annotated[SGDSettings | AdamSettings, Field(discriminator="kind")]
