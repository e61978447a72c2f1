"""The points that are checked before the first job: ends of intervals, given or narrowed, and listed values."""

from __future__ import annotations

from typing import Any

import pytest

from kls.config.validation import validate_group
from kls.errors import UserError
from kls.sweep.corner_points import corner_points
from kls.sweep.stages import Search

TOP = 1 - 2**-53


def points(*stages: dict[str, Any]) -> list[dict[str, Any]]:
    """Of the last stage."""
    found = validate_group(Search, {"stages": list(stages)}).stages
    return corner_points(found[-1], found)


def sampled(name: str, **params: Any) -> dict[str, Any]:
    return {"name": name, "sampler": "random", "trials": 3, "params": params}


def narrowed(rule: str, scale: str = "linear", **more: Any) -> dict[str, Any]:
    return {"narrow": {"from": "coarse", "rule": rule, **more}, "scale": scale}


def test_each_end_and_value_beside_the_first_ones() -> None:
    stage = sampled(
        "coarse",
        lam={"low": 1e-5, "high": 0.1, "scale": "log"},
        model={"values": ["3layer", "9layer", "3layer"]},
        batch_size={"low": 19.6, "high": 50.4, "integer": True},
        seed={"values": [3, 1, 2]},
    )
    first = {"lam": 1e-5, "model": "3layer", "batch_size": 20, "seed": 3}
    assert points(stage) == [
        first,
        first | {"lam": 0.1},
        first | {"model": "9layer"},
        first | {"batch_size": 50},
        first | {"seed": 1},
    ]


def test_listed_values_of_every_type() -> None:
    values = [None, True, 1, 1.0, [0.1, 0.2], 5, 2.5, 3]
    found = points({"name": "grid", "params": {"model.dropout": {"values": values}}})
    assert [repr(point["model.dropout"]) for point in found] == ["None", "True", "[0.1, 0.2]", "1", "5", "1.0", "2.5"]


@pytest.mark.parametrize(
    ("key", "low", "high", "narrow", "ends"),
    [
        ("model.dropout", 0.0, 0.5, narrowed("range_of_best", widen=3), (0.0, TOP)),
        ("model.dropout", 0.0, 0.5, narrowed("range_of_best"), (0.0, 0.5)),
        ("model.dropout", 0.1, 0.5, narrowed("around_best", factor=4), (0.025, TOP)),
        ("lam", 0.1, 0.2, narrowed("neighbours_of_best", "log", widen=2), (0.05, 0.4)),
        ("lam", 0.1, 0.2, narrowed("neighbours_of_best", widen=2), (0.0, 0.3)),
        ("data.augmentation.reach", 4, 20, narrowed("range_of_best", widen=2) | {"integer": True}, (0, 31)),
    ],
)
def test_narrowed_intervals(
    key: str, low: float, high: float, narrow: dict[str, Any], ends: tuple[float, float]
) -> None:
    found = points(sampled("coarse", **{key: {"low": low, "high": high}}), sampled("fine", **{key: narrow}))
    assert [point[key] for point in found] == pytest.approx(ends, rel=1e-12)
    assert {type(point[key]) for point in found} == ({int} if "integer" in narrow else {float})


def test_a_confirmation_has_those_of_what_it_confirms() -> None:
    confirm = {"name": "again", "confirm": {"from": "coarse", "seeds": 4}}
    coarse = {"name": "coarse", "params": {"lam": {"values": [0.1, 0.2]}}}
    assert points(coarse, confirm) == [{"lam": 0.1}, {"lam": 0.2}]
    around = sampled("fine", lam={"narrow": {"from": "again", "rule": "range_of_best"}})
    assert points(coarse, confirm, around) == [{"lam": 0.1}, {"lam": 0.2}]


@pytest.mark.parametrize(
    ("low", "narrow", "line"),
    [
        (-1.0, narrowed("around_best"), "stage fine: lam from -1 to 1 cannot be narrowed by around_best"),
        (
            0.0,
            narrowed("range_of_best", "log"),
            "stage fine: lam may be narrowed to 0, which a log scale does not have",
        ),
    ],
)
def test_intervals_that_cannot_be(low: float, narrow: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        points(sampled("coarse", lam={"low": low, "high": 1.0}), sampled("fine", lam=narrow))
    assert str(caught.value) == line
