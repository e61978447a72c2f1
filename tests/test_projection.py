"""Inputs on the principal axes: against NumPy's singular values, kept on disk, and together with augmentation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from entry_points import SMALL, arrays_of, composed, metrics_of, trained
from helpers import plain_forward

import kls
from kls.config import build
from kls.config.settings import Settings
from kls.config.validation import validate
from kls.core.augmentation import Augmentation, Augmenter
from kls.core.batches import Batches
from kls.data.dataset import DataSet, Split
from kls.data.projection import principal_axes, project
from kls.records.arrays import read_arrays, write_arrays

FLIPPED = ("data.augmentation.flip=0.5", "data.augmentation.translate=0.8", "data.augmentation.reach=2")
TURNED = ("data.test_augmentation.share=0.5", "data.test_augmentation.flip=1.0")


def settings(*overrides: str) -> Settings:
    return validate(composed(*SMALL, "dtype=float64", *overrides))


@pytest.fixture
def pixels(cifar_root: Path) -> DataSet:
    return build.data_set(settings())


def test_the_axes_are_the_right_singular_vectors() -> None:
    x = np.random.default_rng(0).standard_normal((50, 8)) * np.arange(8, 0, -1.0)
    variances, axes = principal_axes(x)
    _, s, vt = np.linalg.svd(x)
    assert variances == pytest.approx(s**2 / 50, rel=1e-12)
    assert np.abs(np.sum(axes * vt.T, axis=0)) == pytest.approx(np.ones(8), rel=1e-12)
    assert np.all(axes[np.argmax(np.abs(axes), axis=0), np.arange(8)] > 0)


@pytest.fixture
def small() -> DataSet:
    """Eight dimensions, whose axes are found at once."""
    rng = np.random.default_rng(2)
    train, val, test = (Split(rng.standard_normal((n, 8)), rng.integers(0, 3, n)) for n in (50, 20, 10))
    fingerprints = "0123456789abcdef", "fedcba9876543210"
    return DataSet("made up", train, val, test, ("a", "b", "c"), np.zeros(8), np.ones(8), *fingerprints)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.slow
def test_as_few_axes_as_hold_the_share(share: float, pixels: DataSet, cifar_root: Path) -> None:
    projected = project(pixels, share, cifar_root)
    s = np.linalg.svd(pixels.train.x, compute_uv=False)
    held = np.cumsum(s**2) / np.sum(s**2)
    k = projected.train.x.shape[1]
    assert held[k - 2] < share <= held[k - 1]
    assert np.sum(projected.train.x**2) / np.sum(pixels.train.x**2) == pytest.approx(held[k - 1], rel=1e-6)
    assert np.array_equal(projected.test.y, pixels.test.y)
    assert projected.projection is not None
    assert projected.projection.pixels is None
    assert np.array_equal(projected.val.x, pixels.val.x @ projected.projection.axes)


def test_uncut_it_is_a_rotation(pixels: DataSet, cifar_root: Path) -> None:
    projected = project(pixels, 1.0, cifar_root)
    x, y = pixels.val.x, projected.val.x
    assert y.shape == x.shape
    assert y @ y.T == pytest.approx(x @ x.T, rel=1e-4, abs=1e-2)


@pytest.mark.parametrize("ridge", [0.3, 5.0])
def test_whitened_inputs_have_ridged_variances(ridge: float, pixels: DataSet, cifar_root: Path) -> None:
    plain, whitened = project(pixels, 0.9, cifar_root), project(pixels, 0.9, cifar_root, ridge)
    v = np.mean(plain.train.x**2, axis=0)
    assert np.mean(whitened.train.x**2, axis=0) == pytest.approx(v / (v + ridge), rel=1e-5)
    assert whitened.test.x == pytest.approx(plain.test.x / np.sqrt(v + ridge), rel=1e-5, abs=1e-5)


def test_the_first_weights_are_those_of_the_pixels_until_the_inputs_are_whitened(cifar_root: Path) -> None:
    """A rotation keeps the inputs' squared length, so that fan_in is still the number of pixels."""
    rotated, whitened = settings("data.projection=0.9"), settings("data.projection=0.9", "data.whitening=1")
    data = build.data_set(rotated)
    k = data.train.x.shape[1]
    assert build.architecture(rotated, data.inputs).fan_in == 3072
    assert build.architecture(whitened, build.data_set(whitened).inputs).fan_in == k < 3072


def test_the_axes_are_made_once(small: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = project(small, 0.9, tmp_path)
    monkeypatch.setattr("kls.data.projection.principal_axes", None)
    assert np.array_equal(project(small, 0.9, tmp_path).test.x, first.test.x)


@pytest.mark.parametrize("damage", [{"axes": np.full((8, 8), np.nan)}, {"axes": np.zeros((8, 7))}, {"variances": None}])
def test_a_damaged_file_of_axes_is_made_again(damage: dict[str, Any], small: DataSet, tmp_path: Path) -> None:
    first = project(small, 0.9, tmp_path)
    (path,) = tmp_path.glob("*.npz")
    write_arrays(path, {name: array for name, array in (read_arrays(path) | damage).items() if array is not None})
    assert np.array_equal(project(small, 0.9, tmp_path).test.x, first.test.x)
    assert read_arrays(path)["axes"].shape == (8, 8)


def test_axes_found_in_float32_are_not_taken_for_float64(small: DataSet, tmp_path: Path) -> None:
    """The numbers of a run do not depend on which other runs the folder has seen."""

    def single(split: Split) -> Split:
        return Split(split.x.astype(np.float32), split.y)

    narrow = replace(small, train=single(small.train), val=single(small.val), test=single(small.test))
    alone, first = project(small, 0.9, tmp_path / "a"), project(narrow, 0.9, tmp_path / "b")
    after = project(small, 0.9, tmp_path / "b")
    assert after.train.x.tobytes() == alone.train.x.tobytes()
    assert first.train.x.dtype == np.float32
    _, axes = principal_axes(small.train.x)
    assert alone.projection is not None
    assert alone.projection.axes == pytest.approx(axes[:, : alone.train.x.shape[1]], abs=0)
    assert sorted(path.name for path in (tmp_path / "b").glob("*.npz")) == [
        "principal-axes-0123456789abcdef-float32.npz", "principal-axes-0123456789abcdef-float64.npz",
    ]  # fmt: skip


def test_the_fingerprint_of_the_axes_tells_every_bit(small: DataSet, tmp_path: Path) -> None:
    def fingerprint(*options: Any) -> str:
        projection = project(small, *options).projection
        assert projection is not None
        return projection.fingerprint

    found = fingerprint(0.9, tmp_path)
    assert len(found) == 16
    assert found == fingerprint(0.9, tmp_path)
    assert len({found, fingerprint(0.5, tmp_path), fingerprint(0.9, tmp_path, 1.0)}) == 3
    (path,) = tmp_path.glob("*.npz")
    arrays = read_arrays(path)
    arrays["axes"][0, 0] = np.nextafter(arrays["axes"][0, 0], 2)
    write_arrays(path, arrays)
    assert fingerprint(0.9, tmp_path) != found


def test_mini_batches_are_augmented_and_then_projected(cifar_root: Path) -> None:
    wish = settings("data.projection=0.9", *FLIPPED)
    data = build.data_set(wish)
    assert data.projection is not None
    pixels = data.projection.pixels
    assert pixels is not None
    got, plain = build.batches(wish, data), build.batches(settings(*FLIPPED), pixels)
    for step in (0, 5, 13):
        (x, q), (seen, q_seen) = got.get(step), plain.get(step)
        assert x == pytest.approx(seen @ data.projection.axes, rel=1e-9, abs=1e-9)
        assert np.array_equal(q, q_seen)
        assert x.shape == (50, data.train.x.shape[1])


def test_without_augmentation_nothing_is_projected_twice(cifar_root: Path) -> None:
    wish = settings("data.projection=0.9")
    data = build.data_set(wish)
    rows = {row.tobytes() for row in data.train.x}
    assert {row.tobytes() for row in build.batches(wish, data).get(3)[0]} <= rows


def test_augmented_test_pictures_are_projected(cifar_root: Path) -> None:
    wish, unprojected = settings("data.projection=0.9", *TURNED), settings(*TURNED)
    data = build.data_set(wish)
    assert data.projection is not None
    turned = build.test_split(unprojected, build.data_set(unprojected))
    got = build.test_split(wish, data)
    assert got.x == pytest.approx(turned.x @ data.projection.axes, rel=1e-9, abs=1e-9)
    changed = np.any(np.abs(got.x - data.test.x) > 1e-9, axis=1)
    assert changed.sum() == 100


def test_the_whole_turned_pixels_train_as_the_pixels_do() -> None:
    """With all axes kept and W rotated along, the augmented mini-batch gives the same pre-activations."""
    rng = np.random.default_rng(1)
    x, q, w = rng.standard_normal((40, 12)), np.ones((40, 2)), rng.standard_normal((12, 3))
    axes = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    augmenter = Augmenter(Augmentation(0.5, 0.5, 1), (3, 2, 2))
    plain, turned = Batches(x, q, 10, 0, augmenter), Batches(x, q, 10, 0, augmenter, axes)
    for step in range(8):
        assert turned.get(step)[0] @ (axes.T @ w) == pytest.approx(plain.get(step)[0] @ w, rel=1e-12, abs=1e-12)


def test_a_training_with_both_scores_the_turned_test_pictures(cifar_root: Path, tmp_path: Path) -> None:
    overrides = ("data.projection=0.9", *FLIPPED, *TURNED)
    folder = trained(tmp_path, *SMALL, *overrides, "dtype=float64", "plots=true")
    assert (folder / "curves.png").exists()
    assert not (folder / "weights.png").exists()
    metrics, wish = metrics_of(folder), settings(*overrides)
    data = build.data_set(wish)
    assert metrics["n_inputs"] == data.train.x.shape[1]
    x = build.test_split(wish, data).x
    logits, _ = plain_forward(build.architecture(wish, data.inputs), arrays_of(folder), x, kept=True)
    assert metrics["test_accuracy"] == np.mean(logits.argmax(axis=1) == data.test.y)


def test_predictions_from_the_runs_folder_alone(
    cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(tmp_path, *SMALL, "data.projection=0.9", "data.whitening=0.5", "dtype=float64")
    record = np.fromfile(cifar_root / "cifar-10-batches-bin" / "test_batch.bin", np.uint8).reshape(-1, 3073)[:200]
    monkeypatch.setenv("KLS_DATA", str(tmp_path / "nothing"))
    run = kls.load(folder)
    assert (run.predict_index(record[:, 1:]) == record[:, 0]).mean() == metrics_of(folder)["test_accuracy"]
    p = run.predict_proba(record[:, 1:])[np.arange(200), record[:, 0]]
    assert -np.log(p).mean() == pytest.approx(metrics_of(folder)["test_loss"], rel=1e-12)
