"""The samplers that a stage can name, with the arguments that they take here. Nothing is imported to read them.

Defaults are given in full, those of Optuna 5, so that other versions of it do the same. Arguments that Optuna has
deprecated, and those that are functions or objects, are left out.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from kls.config.flat_settings import shown
from kls.config.validation import validate_group
from kls.errors import UserError

Size = Annotated[int, Field(ge=1, le=10_000)]
Startup = Annotated[int, Field(ge=0, le=10_000)]
Share = Annotated[float, Field(ge=0, le=1)]


class SamplerSettings(BaseModel):
    """Arguments of a sampler.

    kind: its class in optuna.samplers. packages: what it needs beside Optuna.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    kind: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()

    @property
    def drawing(self) -> SamplerSettings:
        """The settings of the sampler that draws: another one where this only holds some values fixed."""
        return self

    def blind(self, n_numbers: int, batch: int) -> float:
        """Results that it must have before it draws by them. n_numbers: intervals searched; batch: trials asked for
        at once. Infinite for those that never look at results.
        """
        return math.inf


class RandomSettings(SamplerSettings):
    kind = "RandomSampler"


class QMCSettings(SamplerSettings):
    kind, packages = "QMCSampler", ("scipy",)
    qmc_type: Literal["sobol", "halton"] = "sobol"
    scramble: bool = False


class BruteForceSettings(SamplerSettings):
    kind = "BruteForceSampler"
    avoid_premature_stop: bool = False


class _AfterStartup(SamplerSettings):
    n_startup_trials: Startup = 10

    def blind(self, n_numbers: int, batch: int) -> float:
        return self.n_startup_trials


class TPESettings(_AfterStartup):
    kind = "TPESampler"
    n_ei_candidates: Size = 24
    multivariate: bool = True
    group: bool = False
    constant_liar: bool = True

    @model_validator(mode="after")
    def _groups_are_multivariate(self) -> TPESettings:
        if self.group and not self.multivariate:
            raise ValueError("group=true needs multivariate=true")
        return self


class GPSettings(_AfterStartup):
    kind, packages = "GPSampler", ("scipy", "torch")
    deterministic_objective: bool = False


class CmaEsSettings(SamplerSettings):
    kind, packages = "CmaEsSampler", ("cmaes",)
    n_startup_trials: Startup = 1
    popsize: Annotated[int, Field(ge=4, le=10_000)] | None = None
    consider_pruned_trials: bool = False
    use_separable_cma: bool = False
    with_margin: bool = False
    lr_adapt: bool = False

    @model_validator(mode="after")
    def _one_variant(self) -> CmaEsSettings:
        if self.use_separable_cma + self.with_margin + self.lr_adapt > 1:
            raise ValueError("give at most one of use_separable_cma, with_margin and lr_adapt")
        return self

    def blind(self, n_numbers: int, batch: int) -> float:
        """The batches of the start-up, at least one, and a population of its default size (Hansen 2016, eq. 48)."""
        if not n_numbers:
            return math.inf
        popsize = self.popsize or 4 + math.floor(3 * math.log(n_numbers))
        return -(-max(self.n_startup_trials, 1) // batch) * batch + popsize


class NSGAIISettings(SamplerSettings):
    kind = "NSGAIISampler"
    population_size: Annotated[int, Field(ge=2, le=10_000)] = 50
    mutation_prob: Share | None = None
    crossover_prob: Share = 0.9
    swapping_prob: Share = 0.5

    def blind(self, n_numbers: int, batch: int) -> float:
        return self.population_size


class NSGAIIISettings(NSGAIISettings):
    kind = "NSGAIIISampler"
    dividing_parameter: Annotated[int, Field(ge=1, le=100)] = 3


def _value(value: Any) -> Any:
    if not isinstance(value, int | float | str):
        raise ValueError("must be a number, a text, true or false")
    return value


def _base_sampler(value: Any) -> Any:
    return check_sampler(value, grid=False)


class PartialFixedSettings(SamplerSettings):
    kind = "PartialFixedSampler"
    fixed_params: Annotated[dict[str, Annotated[Any, AfterValidator(_value)]], Field(max_length=100)]
    base_sampler: Annotated[Any, AfterValidator(_base_sampler)]

    @property
    def base(self) -> SamplerSettings:
        return sampler_settings(self.base_sampler)

    @property
    def drawing(self) -> SamplerSettings:
        return self.base.drawing

    def blind(self, n_numbers: int, batch: int) -> float:
        return self.base.blind(n_numbers, batch)


class OtherSettings(SamplerSettings):
    """A sampler of another package: its class, which has not been looked for, and its arguments as they stand."""

    target: str
    arguments: dict[str, Any]

    def blind(self, n_numbers: int, batch: int) -> float:
        startup = self.arguments.get("n_startup_trials")
        return startup if isinstance(startup, int) else 0


SAMPLERS: dict[str, type[SamplerSettings]] = {
    "random": RandomSettings,
    "tpe": TPESettings,
    "qmc": QMCSettings,
    "gp": GPSettings,
    "cmaes": CmaEsSettings,
    "nsgaii": NSGAIISettings,
    "nsgaiii": NSGAIIISettings,
    "bruteforce": BruteForceSettings,
    "partialfixed": PartialFixedSettings,
}
_BY_TARGET = SAMPLERS | {f"optuna.samplers.{kind.kind}": kind for kind in SAMPLERS.values()}


def sampler_settings(value: Any) -> SamplerSettings:
    """What a stage gives as its sampler: a name, or a _target_ with arguments beside it. Raises UserError."""
    if isinstance(value, dict) and "_target_" in value:
        target, arguments = value["_target_"], {key: item for key, item in value.items() if key != "_target_"}
    elif isinstance(value, str) and value in SAMPLERS:
        target, arguments = value, {}
    else:
        raise UserError(f"must be one of grid, {', '.join(SAMPLERS)}, or a sampler by _target_")
    if not isinstance(target, str) or target not in _BY_TARGET:
        return _other(target, arguments)
    kind = _BY_TARGET[target]
    unknown = [key for key in arguments if key not in kind.model_fields]
    if unknown:
        takes = ", ".join(kind.model_fields) or "no arguments; its seed is the stage's"
        raise UserError(f"{shown(unknown[0])}: there is no such argument; it takes {takes}")
    return validate_group(kind, arguments)


def _other(target: Any, arguments: dict[str, Any]) -> OtherSettings:
    text = target if isinstance(target, str) else ""
    if text == "grid" or text.endswith(".GridSampler"):
        raise UserError(f"_target_={target}: for all combinations of listed values give sampler: grid")
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", text, re.ASCII) or text.startswith("optuna."):
        raise UserError(
            f"_target_={shown(target)}: must be one of {', '.join(SAMPLERS)}, "
            "or package.module.Class of a package that is installed"
        )
    for key, item in arguments.items():
        if key == "seed":
            raise UserError("seed: leave it out; it is the stage's")
        if not re.fullmatch(r"[A-Za-z]\w*", str(key), re.ASCII):
            raise UserError(f"{shown(key)}: is no name of an argument")
        try:
            _check_argument(item)
        except (UserError, ValueError) as error:
            raise UserError(f"{key}: {error}") from None
    return OtherSettings(target=text, arguments=arguments)


def _check_argument(value: Any) -> None:
    if isinstance(value, dict) and "_target_" in value:
        sampler_settings(value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_argument(item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be finite")


def check_sampler(value: Any, grid: bool = True) -> Any:
    """What a stage gives as its sampler. Raises ValueError where that is none, or a grid where that cannot be."""
    if not (grid and value == "grid"):
        try:
            sampler_settings(value)
        except UserError as error:
            raise ValueError("; ".join(str(error).splitlines()[:3])) from None
    return value


def learns(value: Any) -> bool:
    """Whether a sampler looks at results, so that its trials are asked for in batches."""
    return value != "grid" and sampler_settings(value).blind(1, 1) < math.inf
