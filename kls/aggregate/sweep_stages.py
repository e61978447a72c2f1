"""What a sweep's sweep.json says of its stages; anything may be missing while the sweep goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ValidationError

from kls.errors import UserError
from kls.records import names
from kls.records.escape import one_line, shortened
from kls.records.small_files import check_small
from kls.records.sweep_record import read_sweep

Text = Annotated[str, AfterValidator(one_line)]


class Searched(BaseModel):
    """The interval or the values that a stage searches of one setting."""

    low: float | None = None
    high: float | None = None
    scale: Text | None = None
    values: list[Any] | None = None
    source: Text | None = None

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

    name: Text
    trials: int | None = None
    sampler: Text | None = None
    status: Text | None = None
    params: dict[Text, Searched] = {}
    edge: list[Text] = []
    confirm: bool = False

    @property
    def searched(self) -> list[str]:
        """For each setting what was searched of it."""
        return [f"{key} {part.text}{part.reason}" for key, part in self.params.items()]


class SweepStages(BaseModel):
    """The parts of sweep.json that tables and pictures need."""

    overrides: list[str] = []
    config_dir: str | None = None
    status: Text | None = None
    metric: Text | None = None
    stages: list[SweepStage] = []


def read_stages(folder: Path) -> SweepStages:
    """The sweep.json of ``folder``. Raises UserError where it is damaged or has another form."""
    try:
        check_small(folder / names.SWEEP)
        return SweepStages.model_validate(read_sweep(folder))
    except FileNotFoundError:
        raise UserError(f"{folder}: not a sweep's folder, it has no {names.SWEEP}") from None
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise UserError(f"{folder / names.SWEEP}: {shortened(where)}: {fault['msg']}") from None


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
