"""Settings that came later than a record: what they are taken to have been."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel

from kls.config import defaults
from kls.config.flat_settings import differences


class Sgd(BaseModel):
    kind: Literal["sgd"]
    nesterov: bool = False


class Adam(BaseModel):
    kind: Literal["adam"]
    amsgrad: bool = False


class Group(BaseModel):
    old: int
    clip: float | None = None


class Made(BaseModel):
    seed: int
    optimizer: Sgd | Adam
    group: Group | None
    colour: str = "red"


@pytest.fixture(autouse=True)
def _made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "Settings", Made)
    defaults.defaults.cache_clear()
    yield
    defaults.defaults.cache_clear()


def test_defaults_of_all_groups_and_variants() -> None:
    assert defaults.defaults() == {
        "optimizer.nesterov": False, "optimizer.amsgrad": False, "group.clip": None, "colour": "red",
    }  # fmt: skip


def test_a_record_is_filled_with_what_its_settings_have_now() -> None:
    like = {"seed": 0, "optimizer.kind": "sgd", "optimizer.nesterov": True, "colour": "blue"}
    assert defaults.filled({"seed": 1, "optimizer.kind": "sgd"}, like) == {
        "seed": 1, "optimizer.kind": "sgd", "optimizer.nesterov": False, "colour": "red",
    }  # fmt: skip
    assert defaults.filled({"colour": "green"}, like) == {"colour": "green", "optimizer.nesterov": False}


def test_a_newer_setting_at_its_default_is_no_difference() -> None:
    old: dict[str, Any] = {"seed": 0, "optimizer": {"kind": "sgd"}}
    assert differences(old, old | {"colour": "red"}) == []
    assert differences(old, old | {"colour": "blue"}) == ["colour: red -> blue"]
