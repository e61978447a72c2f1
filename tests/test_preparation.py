"""How raw examples become inputs, and the file that says so: formulas, forms of examples, damage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from entry_points import Array

from kls.data.preparation import Preparation, number_moments
from kls.data.raw_inputs import RawInputs
from kls.errors import UserError
from kls.records.arrays import read_arrays, write_arrays

RNG = np.random.default_rng(3)
PICTURES = RNG.integers(0, 256, (300, 4, 5, 3), dtype=np.uint8)
ROWS = PICTURES.transpose(0, 3, 1, 2).reshape(300, 60)
BYTES = np.dtype(np.uint8)


def prepared(dtype: str = "float32", axes: int | None = None) -> Preparation:
    mean, sd = ROWS.mean(axis=0), ROWS.std(axis=0)
    found = None if axes is None else RNG.standard_normal((60, axes)).astype(dtype)
    return Preparation(mean, sd, np.dtype(dtype), found)


def raw_inputs(**changes: Any) -> RawInputs:
    return replace(RawInputs(prepared(), ("a", "b"), (3, 4, 5), BYTES, "f" * 16), **changes)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float64", 1e-13)])
def test_bytes_and_numbers_follow_the_formula(dtype: str, tolerance: float) -> None:
    expected = (ROWS - ROWS.mean(axis=0)) / ROWS.std(axis=0)
    for x in (ROWS, ROWS.astype(np.float64), ROWS.astype(np.int16), np.asfortranarray(ROWS)):
        found = prepared(dtype).apply(x)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_bytes_are_computed_with_in_the_type_of_the_inputs() -> None:
    mean, sd = (a.astype(np.float32) for a in (ROWS.mean(axis=0), ROWS.std(axis=0)))
    assert np.array_equal(prepared().apply(ROWS), (ROWS.astype(np.float32) - mean) / sd)


def test_numbers_far_from_zero_keep_their_digits() -> None:
    x = 1e6 + RNG.standard_normal((500, 2))
    found = Preparation.of(x, "float32").apply(x)
    np.testing.assert_allclose(found, (x - x.mean(axis=0)) / x.std(axis=0), atol=1e-6)


def test_projection() -> None:
    found = prepared("float64", axes=7)
    assert found.n_inputs == 7
    assert found.axes is not None
    np.testing.assert_allclose(found.apply(ROWS), (ROWS - ROWS.mean(axis=0)) / ROWS.std(axis=0) @ found.axes)


def test_moments_and_columns_of_one_value() -> None:
    x = np.column_stack([RNG.standard_normal(700), np.full(700, 0.1), np.full(700, 1e12)])
    mean, sd = number_moments(x, np.arange(700))
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(sd[0], x[:, 0].std(), rtol=1e-12)
    assert mean[1:].tolist() == [0.1, 1e12]
    assert sd[1:].tolist() == [0.0, 0.0]
    assert Preparation.of(x, "float64").sd[1:].tolist() == [1.0, 1.0]
    mean, _ = number_moments(x, np.array([5, 9]))
    np.testing.assert_allclose(mean[0], (x[5, 0] + x[9, 0]) / 2)


@pytest.mark.parametrize(
    "x",
    [PICTURES, ROWS, PICTURES.astype(np.float64), ROWS.astype(np.float32), ROWS.tolist(), PICTURES.astype(np.int64)],
    ids=["pictures", "rows", "float pictures", "float rows", "lists", "integers"],
)
def test_forms_of_pictures(x: Any) -> None:
    found = raw_inputs().rows(x)
    assert found.dtype == np.uint8
    assert np.array_equal(found, ROWS)


def test_pictures_of_one_channel_and_rows_of_numbers() -> None:
    grey, rows = raw_inputs(image_shape=(1, 6, 10)), raw_inputs(image_shape=None, raw_dtype=np.dtype(np.float64))
    x = ROWS.reshape(-1, 6, 10)
    assert np.array_equal(grey.rows(x), ROWS)
    assert np.array_equal(grey.rows(x[..., np.newaxis]), ROWS)
    assert rows.rows(ROWS).dtype == np.float64
    halves = raw_inputs().rows(ROWS + 0.5)
    assert halves.dtype == np.float64
    assert np.array_equal(halves, ROWS + 0.5)
    assert raw_inputs().rows(ROWS[:0]).shape == (0, 60)


FORMS = "pictures (n, 4, 5, 3) or rows (n, 60), channel after channel"


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (PICTURES[0], f"examples of shape (4, 5, 3): must be {FORMS}"),
        (ROWS[0], f"examples of shape (60,): must be {FORMS}"),
        (ROWS[:, :59], f"examples of shape (300, 59): must be {FORMS}"),
        (PICTURES.transpose(0, 3, 1, 2), f"examples of shape (300, 3, 4, 5): must be {FORMS}"),
        (PICTURES[..., 0], f"examples of shape (300, 4, 5): must be {FORMS}"),
        (5, f"examples of shape (): must be {FORMS}"),
        (ROWS.astype(str), f"examples of type <U3: must be numbers, {FORMS}"),
        (np.full((2, 60), None), f"examples of type object: must be numbers, {FORMS}"),
        (np.full((2, 60), np.nan), "examples: there is a NaN or an infinity among them"),
        (np.full((2, 60), -np.inf), "examples: there is a NaN or an infinity among them"),
        (ROWS / 255, "examples lie between 0 and 1: the network was trained on grey levels 0 to 255"),
    ],
)
def test_other_forms_are_refused_in_one_line(x: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        raw_inputs().rows(x)
    assert str(caught.value) == message


def test_black_pictures_and_rows_may_lie_between_0_and_1() -> None:
    assert raw_inputs().rows(np.zeros((2, 60))).tolist() == np.zeros((2, 60)).tolist()
    assert raw_inputs(image_shape=None, raw_dtype=np.dtype(np.float64)).rows(ROWS / 255).max() == 1.0


@pytest.mark.parametrize("axes", [None, 9])
@pytest.mark.parametrize("shape", [None, (3, 4, 5)])
def test_the_file_gives_what_was_written(axes: int | None, shape: tuple[int, int, int] | None, tmp_path: Path) -> None:
    wanted = raw_inputs(preparation=prepared(axes=axes), image_shape=shape, class_names=("ä", "b c", "12"))
    write_arrays(tmp_path / "inputs.npz", wanted.arrays())
    found = RawInputs.from_arrays(read_arrays(tmp_path / "inputs.npz"))
    assert (found.class_names, found.image_shape, found.raw_dtype, found.fingerprint) == (
        wanted.class_names, wanted.image_shape, wanted.raw_dtype, wanted.fingerprint,
    )  # fmt: skip
    assert np.array_equal(found.apply(ROWS), wanted.apply(ROWS))


MEAN, AXES = prepared().mean, np.eye(60, 4, dtype=np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": MEAN[:59]}, "sd does not fit the others"),
        ({"mean": MEAN.reshape(6, 10)}, "mean does not fit the others"),
        ({"mean": MEAN * np.nan}, "mean does not fit the others"),
        ({"mean": MEAN.astype(np.float32)}, "mean does not fit the others"),
        ({"sd": MEAN * 0}, "sd does not fit the others"),
        ({"dtype": np.array("float16")}, "dtype does not fit the others"),
        ({"dtype": np.array("O")}, "'O' is no type of numbers"),
        ({"raw_dtype": np.array("U5")}, "'U5' is no type of numbers"),
        ({"class_names": np.array([])}, "class_names does not fit the others"),
        ({"class_names": np.arange(2)}, "class_names does not fit the others"),
        ({"image_shape": np.array([3, 4, 6])}, "image_shape does not fit the others"),
        ({"image_shape": np.array([-3, -4, 5])}, "image_shape does not fit the others"),
        ({"image_shape": np.array([6, 10])}, "image_shape does not fit the others"),
        ({"image_shape": np.array([3.0, 4.0, 5.0])}, "image_shape does not fit the others"),
        ({"image_shape": np.array(60)}, "image_shape does not fit the others"),
        ({"axes": AXES[:50]}, "axes does not fit the others"),
        ({"axes": AXES.astype(np.float64)}, "axes does not fit the others"),
        ({"axes": np.full((60, 4), np.inf, np.float32)}, "axes does not fit the others"),
        ({"sd": None}, "sd is missing"),
        ({"data_fingerprint": None}, "data_fingerprint is missing"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changes: dict[str, Array | None], message: str) -> None:
    arrays = {name: value for name, value in (raw_inputs().arrays() | changes).items() if value is not None}
    with pytest.raises(ValueError, match=f"^{message}$"):
        RawInputs.from_arrays(arrays)
