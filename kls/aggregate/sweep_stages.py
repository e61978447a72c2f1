"""What a sweep's sweep.json says of its stages; anything may be missing while the sweep goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from kls.errors import UserError
from kls.records import names
from kls.sweep.record import read_sweep


class Searched(BaseModel):
    """The interval or the values that a stage searches of one setting."""

    low: float | None = None
    high: float | None = None
    scale: str | None = None
    values: list[Any] | None = None
    source: str | None = None

    @property
    def text(self) -> str:
        """For example "1e-05 to 0.1 (log)"."""
        if self.values is not None:
            shown = [_short(value) for value in self.values]
            return ", ".join(shown if len(shown) <= 6 else [*shown[:2], "...", shown[-1]])
        if self.low is None or self.high is None:
            return "?"
        return f"{_short(self.low)} to {_short(self.high)}" + (f" ({self.scale})" if self.scale else "")

    @property
    def reason(self) -> str:
        """For example ", narrowed from coarse: range of the 5 best"."""
        return f", {self.source}" if self.source else ""


class SweepStage(BaseModel):
    """One stage; its runs are in the folder of its name."""

    name: str
    trials: int | None = None
    sampler: str | None = None
    status: str | None = None
    params: dict[str, Searched] = {}
    edge: list[str] = []
    confirm: bool = False

    @property
    def searched(self) -> list[str]:
        """For each setting what was searched of it."""
        return [f"{key} {part.text}{part.reason}" for key, part in self.params.items()]


class SweepStages(BaseModel):
    """The parts of sweep.json that tables and pictures need."""

    command: str | None = None
    overrides: list[str] = []
    status: str | None = None
    metric: str | None = None
    stages: list[SweepStage] = []


def read_stages(folder: Path) -> SweepStages:
    """The sweep.json of ``folder``. Raises UserError where it is damaged or has another form."""
    try:
        return SweepStages.model_validate(read_sweep(folder))
    except TypeError:
        raise UserError(f"{folder / names.SWEEP}: holds no record of a sweep") from None
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise UserError(f"{folder / names.SWEEP}: {where}: {fault['msg']}") from None


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
