"""The samplers of Optuna that a stage can name, with the arguments that they take here.

Defaults are given in full, those of Optuna 5, so that other versions of it do the same.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kls.config.flat_settings import shown
from kls.config.validation import validate_group
from kls.errors import UserError

NAMES = ("random", "tpe", "grid")

Size = Annotated[int, Field(ge=1, le=10_000)]
Startup = Annotated[int, Field(ge=0, le=10_000)]
Share = Annotated[float, Field(ge=0, le=1)]


class SamplerSettings(BaseModel):
    """Arguments of a sampler; ``packages`` are what it needs beside Optuna."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    packages: ClassVar[tuple[str, ...]] = ()


class RandomSettings(SamplerSettings):
    pass


class TPESettings(SamplerSettings):
    n_startup_trials: Startup = 10
    n_ei_candidates: Size = 24
    multivariate: bool = True
    group: bool = False
    constant_liar: bool = True

    @model_validator(mode="after")
    def _groups_are_multivariate(self) -> TPESettings:
        if self.group and not self.multivariate:
            raise ValueError("group=true needs multivariate=true")
        return self


class QMCSettings(SamplerSettings):
    packages = ("scipy",)
    qmc_type: Literal["sobol", "halton"] = "sobol"
    scramble: bool = False


class CmaEsSettings(SamplerSettings):
    packages = ("cmaes",)
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


class GPSettings(SamplerSettings):
    packages = ("scipy", "torch")
    n_startup_trials: Startup = 10
    deterministic_objective: bool = False


class NSGAIISettings(SamplerSettings):
    population_size: Annotated[int, Field(ge=2, le=10_000)] = 50
    mutation_prob: Share | None = None
    crossover_prob: Share = 0.9
    swapping_prob: Share = 0.5


class NSGAIIISettings(NSGAIISettings):
    dividing_parameter: Annotated[int, Field(ge=1, le=100)] = 3


SAMPLERS: dict[str, type[SamplerSettings]] = {
    "RandomSampler": RandomSettings,
    "TPESampler": TPESettings,
    "QMCSampler": QMCSettings,
    "CmaEsSampler": CmaEsSettings,
    "GPSampler": GPSettings,
    "NSGAIISampler": NSGAIISettings,
    "NSGAIIISampler": NSGAIIISettings,
}


def sampler_name(target: Any) -> str:
    """The key of SAMPLERS that a _target_ means. Raises ValueError where it means none."""
    module, _, name = target.rpartition(".") if isinstance(target, str) else ("", "", "")
    if module != "optuna.samplers" or name not in SAMPLERS:
        raise ValueError(
            f"_target_={shown(target)}: must be one of {', '.join(SAMPLERS)}, after optuna.samplers.; "
            "for all combinations of listed values give sampler: grid"
        )
    return name


def sampler_settings(config: dict[str, Any]) -> SamplerSettings:
    """The arguments that stand beside a _target_, or else defaults. Raises UserError."""
    try:
        kind = SAMPLERS[sampler_name(config["_target_"])]
    except ValueError as error:
        raise UserError(str(error)) from None
    arguments = {key: value for key, value in config.items() if key != "_target_"}
    unknown = [key for key in arguments if key not in kind.model_fields]
    if unknown:
        takes = ", ".join(kind.model_fields) or "no arguments; its seed is the stage's"
        raise UserError(f"{shown(unknown[0])}: there is no such argument; it takes {takes}")
    return validate_group(kind, arguments)


def check_sampler(value: Any) -> Any:
    """What a stage gives as its sampler. Raises ValueError where that is none."""
    if isinstance(value, dict) and "_target_" in value:
        try:
            sampler_settings(value)
        except UserError as error:
            raise ValueError("; ".join(str(error).splitlines())) from None
    elif not isinstance(value, str) or value not in NAMES:
        raise ValueError("must be 'random', 'tpe', 'grid', or an Optuna sampler by _target_")
    return value
