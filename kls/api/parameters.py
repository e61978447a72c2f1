"""The parameters of a classifier, checked together, and what of kls.core they describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from kls.config.optimizers import AdamSettings, AnyOptimizer, SGDSettings
from kls.config.schedules import AnySchedule, ConstantSettings, CyclicSettings
from kls.config.setting_types import Count, Group, NonNegative, Positive, Rate, Seed, Whole
from kls.config.settings import Units
from kls.config.validation import validate_group
from kls.core.architecture import Architecture
from kls.core.population import Member
from kls.errors import UserError

_ADAM, _SGD, _SGD_WITH_BN = 0.01, 0.1, 0.3  # learning rates where none is given
_LAM, _LAM_TIMES_N = 0.2, 250.0  # the best falls from 0.2 for 1,000 of CIFAR-10's pictures to 0.006 for 45,000
_LOWEST = 1e-4  # of a cycle's rates over the highest


class Parameters(Group):
    """The parameters of `kls.KLayerClassifier`, which explains them, but for random_state."""

    hidden: Annotated[list[Units], Field(max_length=1000)]
    bn: Literal[True, False, "before", "after"]
    lam: NonNegative | None
    epochs: Count
    batch_size: Count
    optimizer: Literal["sgd", "adam"]
    eta: Positive | None
    cycles: Count | None
    dropout: Rate
    label_smoothing: Rate
    init: Literal["he", "xavier"] | Positive
    bn_momentum: Rate
    bn_statistics: Literal["ema", "precise", "adaptive"]
    validation_fraction: Rate
    evaluations: Whole
    dtype: Literal["float32", "float64"]
    threads: Annotated[int, Field(ge=1, le=1024)]
    warm_start: bool
    order_seed: Seed | None

    def n_batches(self, n: int) -> int:
        """Mini-batches of an epoch of n examples: equal ones of at most batch_size, and of two under batch norm."""
        most = n // 2 if self.bn and self.hidden else n
        return max(1, min(-(-n // self.batch_size), most))

    def architecture(self, n_inputs: int, n_classes: int) -> Architecture:
        """The network for so many inputs and classes."""
        return Architecture(
            n_inputs=n_inputs,
            hidden=tuple(self.hidden),
            n_classes=n_classes,
            fan_in=n_inputs,
            bn=("before" if self.bn is True else self.bn) or None,
            bn_statistics=self.bn_statistics,
            dropout=(self.dropout,) * len(self.hidden),
            label_smoothing=self.label_smoothing,
            dtype=np.dtype(self.dtype),
        )

    def optimizer_settings(self, n_steps: int) -> AnyOptimizer:
        """The optimizer with the schedule of so many steps."""
        usual = _ADAM if self.optimizer == "adam" else _SGD_WITH_BN if self.bn else _SGD
        eta = usual if self.eta is None else self.eta
        schedule: AnySchedule
        if self.cycles is None:
            schedule = ConstantSettings(kind="constant", eta=eta, epochs=None, steps=n_steps)
        else:
            schedule = CyclicSettings(
                kind="cyclic",
                eta_min=_LOWEST * eta,
                eta_max=eta,
                n_s=max(1, round(n_steps / (2 * self.cycles))),
                eta_max_factor=1.0,
                cycles=None,
                epochs=None,
                steps=n_steps,
            )
        if self.optimizer == "sgd":
            return SGDSettings(kind="sgd", momentum=0.0, schedule=schedule)
        return AdamSettings(kind="adam", beta1=0.9, beta2=0.999, epsilon=1e-8, schedule=schedule)

    def member(self, seed: int, n_steps: int, n: int) -> Member:
        """A member of a population that is trained on n examples."""
        scheme, sigma = ("he", self.init) if isinstance(self.init, float) else (self.init, None)
        return Member(
            seed=seed,
            lam=min(_LAM, _LAM_TIMES_N / n) if self.lam is None else self.lam,
            rates=self.optimizer_settings(n_steps).schedule.rates(np.arange(n_steps)),
            scheme=scheme,
            sigma=sigma,
            bn_momentum=self.bn_momentum,
        )


def checked_parameters(values: Mapping[str, Any]) -> Parameters:
    """The parameters that a classifier was given. Raises ValueError with a line for each that is not valid."""
    try:
        return validate_group(Parameters, {name: _plain(value) for name, value in values.items()})
    except UserError as error:
        raise ValueError(str(error)) from None


def _plain(value: Any) -> Any:
    """NumPy's scalars and arrays, and tuples, as Python's numbers and lists."""
    value = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
