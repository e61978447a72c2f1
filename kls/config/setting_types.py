"""What the classes of settings are made of: their base, and types with a range."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from kls.config.folder_names import check_path

LARGEST_COUNT = 10**9
LARGEST_SEED = 2**63 - 1

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Whole = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
DecayFactor = Annotated[float, Field(gt=0, le=1)]
FilePath = Annotated[str, AfterValidator(check_path)]


class Group(BaseModel):
    """Settings that stand together. Keys that it does not have are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, populate_by_name=True)


def one_of(names: Collection[str]) -> AfterValidator:
    """Refuses every text that is not among ``names``, in the words that pydantic has for a Literal."""

    def check(value: str) -> str:
        if value not in names:
            *first, last = map(repr, names)
            raise ValueError(f"must be {', '.join(first)} or {last}" if first else f"must be {last}")
        return value

    return AfterValidator(check)
