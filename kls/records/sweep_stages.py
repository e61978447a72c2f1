"""What sweep.json says of a sweep and its stages; anything may be missing while the sweep goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, FiniteFloat, ValidationError, model_validator

from kls.errors import UserError
from kls.records import names
from kls.records.checked import check_file
from kls.records.escape import one_line, shortened
from kls.records.sweep_record import read_sweep

Text = Annotated[str, AfterValidator(one_line)]
Count = Annotated[int, Field(ge=0, lt=2**31)]


class Searched(BaseModel):
    """The interval or the values that a stage searches of one setting."""

    low: float | None = None
    high: float | None = None
    scale: Text | None = None
    values: list[Any] | None = None
    source: Text | None = None

    @property
    def text(self) -> str:
        """For example "1e-05 to 0.1 (log), narrowed from coarse: range of the 5 best"."""
        shown = [_text(value) for value in self.values or ()]
        found = ", ".join(shown if len(shown) <= 6 else [*shown[:2], "...", shown[-1]])
        if self.values is None:
            found = f"{_text(self.low)} to {_text(self.high)}" + (f" ({self.scale})" if self.scale else "")
        return found + (f", {self.source}" if self.source not in (None, "given") else "")


class Best(BaseModel):
    """The trial with the best settings of a stage, and their mean validation accuracy, or loss if that was searched."""

    trial: Count
    val_accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    val_loss: Annotated[FiniteFloat, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _scored(self) -> Best:
        if self.val_accuracy is None and self.val_loss is None:
            raise ValueError(f"has no {names.VAL_ACCURACY} and no {names.VAL_LOSS}")
        return self

    @property
    def merit(self) -> float:
        """The higher the better: the accuracy, or minus the loss."""
        return self.val_accuracy if self.val_accuracy is not None else -float(self.val_loss or 0.0)


class Place(BaseModel):
    """The optimum of a searched number by a smooth curve, with its 95 % interval, and the values that are as good.

    at_end: "smallest" or "largest" if it is that of the values tried.
    """

    place: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    flat: tuple[FiniteFloat, FiniteFloat]
    at_end: Literal["smallest", "largest"] | None = None


class Stage(BaseModel):
    """One stage; its runs are in the folder of its name. edge: a sentence for each best value at the end of a range.

    best, runs (how many have which status): when it has ended. So are optimum, of a stage with one searched number, and
    importances, of several settings: for each of Optuna's evaluators a share for each setting. trials: how many; seeds:
    of the runs of each, none where the settings say it.
    """

    name: Text
    trials: int | None = None
    seeds: list[Count] = []
    sampler: Text | None = None
    status: Text | None = None
    params: dict[Text, Searched] = {}
    edge: list[Text] = []
    confirm: bool = False
    best: Best | None = None
    runs: dict[Text, Count] = {}
    optimum: dict[Text, Place] = {}
    importances: dict[Text, dict[Text, Annotated[FiniteFloat, Field(ge=0, le=1)]]] = {}

    @property
    def n_runs(self) -> int | None:
        """How many it is to have; None if its record does not say."""
        return self.trials * max(len(self.seeds), 1) if self.trials else None


class Sweep(BaseModel):
    """The parts of sweep.json that tables and pictures need."""

    overrides: list[str] = []
    config_dir: str | None = None
    status: Text | None = None
    metric: Text | None = None
    stages: list[Stage] = []

    @property
    def called(self) -> str:
        """What the command calls the sweep; "" if it does not."""
        given = dict(text.split("=", 1) for text in self.overrides if "=" in text)
        return one_line(given.get("name") or given.get("sweeps") or "")


def read_stages(folder: Path, warnings: list[str]) -> Sweep:
    """The sweep.json of a folder; one that is damaged or has another form is empty, and adds a line to the warnings."""
    try:
        check_file(folder / names.SWEEP)
        return Sweep.model_validate(read_sweep(folder))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = shortened(".".join(map(str, fault["loc"])))
        warnings.append(f"skipped: {folder / names.SWEEP}: {where}: {shortened(fault['msg'])}")
    except UserError as error:
        warnings.append(f"skipped: {error}")
    return Sweep()


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
