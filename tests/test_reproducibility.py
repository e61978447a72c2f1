"""The same settings give the same bits, in any process; seeds change what they are for and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from entry_points import SMALL, arrays_of, assert_same_run, history_of, metrics_of, python, run_folders, trained

EVERYTHING_RANDOM = (
    *SMALL, "model.dropout=0.2", "data.augmentation.flip=0.5", "data.augmentation.translate=0.5",
    "data.augmentation.reach=2", "optimizer.momentum=0.9", "model.bn.statistics=precise",
)  # fmt: skip
# A step so small that no weight moves: the last network is the first one.
NO_MOVE = (
    *SMALL, "optimizer.schedule.cycles=null", "optimizer.schedule.steps=1", "optimizer.schedule.eta_min=0",
    "optimizer.schedule.eta_max=1e-300",
)  # fmt: skip


@pytest.mark.parametrize("settings", [SMALL, EVERYTHING_RANDOM], ids=["small", "everything random"])
def test_same_seed_same_bits_in_this_process_and_in_another(
    settings: tuple[str, ...], cifar_root: Path, tmp_path: Path
) -> None:
    first, second = trained(tmp_path / "first", *settings), trained(tmp_path / "second", *settings)
    assert_same_run(second, first)
    third = tmp_path / "third"
    third.mkdir()
    outcome = python(third, "-m", "kls.train", *settings)
    assert (outcome.status, outcome.err) == (0, "")
    (other,) = run_folders(third)
    assert_same_run(other, first)


def test_float32_and_float64_start_from_the_same_weights(cifar_root: Path, tmp_path: Path) -> None:
    single = arrays_of(trained(tmp_path / "32", *NO_MOVE))
    double = arrays_of(trained(tmp_path / "64", *NO_MOVE, "dtype=float64"))
    assert single.keys() == double.keys()
    for name in ("W1", "W2", "W3"):
        assert (single[name].dtype, double[name].dtype) == (np.float32, np.float64)
        np.testing.assert_array_equal(single[name], double[name].astype(np.float32))
    np.testing.assert_allclose(single["bn1.mean"], double["bn1.mean"], atol=1e-4)
    assert double["W1"].std() == pytest.approx(np.sqrt(2 / 3072), rel=0.02)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes_train_alike(dtype: str, cifar_root: Path, tmp_path: Path) -> None:
    folder = trained(tmp_path / dtype, *SMALL, f"dtype={dtype}")
    losses = [row["val_loss"] for row in history_of(folder)]
    assert losses[0] == pytest.approx(2.8132477, abs=1e-4)
    assert losses[-1] == pytest.approx(1.873420, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "weights_differ", "first_batch_differs"),
    [("seed=1", True, True), ("order_seed=1", False, True), ("lam=0.5", False, False)],
)
def test_what_the_seeds_change(
    change: str, weights_differ: bool, first_batch_differs: bool, cifar_root: Path, tmp_path: Path
) -> None:
    a = arrays_of(trained(tmp_path / "a", *NO_MOVE, "seed=0", "order_seed=0"))
    b = arrays_of(trained(tmp_path / "b", *NO_MOVE, "seed=0", "order_seed=0", change))
    assert (a["W1"].tobytes() != b["W1"].tobytes()) == weights_differ
    assert (a["bn1.mean"].tobytes() != b["bn1.mean"].tobytes()) == first_batch_differs


def test_number_of_evaluations_does_not_change_the_training(finished_run: Path, tmp_path: Path) -> None:
    folder = trained(tmp_path, *SMALL, "evaluation.every_steps=40", "evaluation.n_train=600")
    a, b = arrays_of(folder), arrays_of(finished_run)
    assert [key for key in a if a[key].tobytes() != b[key].tobytes()] == ["history", "seconds", "settings"]
    assert [row["step"] for row in history_of(folder)] == [0, 40]
    assert metrics_of(folder)["test_loss"] == metrics_of(finished_run)["test_loss"]
