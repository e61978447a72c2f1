"""Ensembles of the snapshots at the ends of the cycles, against averages written out by hand."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from entry_points import (
    DATA,
    SMALL,
    Array,
    aggregate_in,
    arrays_of,
    assert_same_run,
    composed,
    history_of,
    metrics_of,
    mistake,
    train_in,
    trained,
)
from helpers import plain_forward
from interrupted_training import interrupted, resumed
from trained_populations import errors_of

from kls.config import build
from kls.config.validation import validate
from kls.records import names
from kls.training.populations import groups
from kls.training.session import Job

# A cycle is 20 steps; the network is evaluated every 7.
ENSEMBLE = (*SMALL, "optimizer.schedule.cycles=3", "ensemble.snapshots=2", "dtype=float64")
KEYS = {f"ensemble_{split}_{quantity}" for split in ("val", "test") for quantity in ("loss", "accuracy")}


@pytest.fixture(scope="module")
def run(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("ensemble"), *ENSEMBLE)


def snapshots(folder: Path) -> list[dict[str, Array]]:
    assert {path.name for path in folder.glob("snapshot*")} == {"snapshot-2.npz", "snapshot-3.npz"}
    return [arrays_of(folder, f"snapshot-{cycle}.npz") for cycle in (2, 3)]


def by_hand(folder: Path) -> dict[str, float]:
    """Loss and accuracy of the mean of the snapshots' softmax outputs."""
    settings = validate(composed(*ENSEMBLE))
    data = build.data_set(settings)
    found = {}
    for name, split in (("val", data.val), ("test", data.test)):
        mean: Any = 0.0
        for state in snapshots(folder):
            logits, _ = plain_forward(build.architecture(settings, data.inputs), state, split.x, kept=True)
            e = np.exp(logits)
            mean = mean + e / e.sum(axis=1, keepdims=True) / 2
        found[f"ensemble_{name}_loss"] = -np.log(mean[np.arange(len(split.y)), split.y]).mean()
        found[f"ensemble_{name}_accuracy"] = (mean.argmax(axis=1) == split.y).mean()
    return found


def test_the_mean_of_the_softmax_outputs_is_scored(run: Path) -> None:
    metrics, expected = metrics_of(run), by_hand(run)
    assert expected.keys() == KEYS
    assert {key: metrics[key] for key in KEYS} == pytest.approx(expected, rel=1e-12)
    assert metrics["ensemble_val_loss"] != pytest.approx(metrics["val_loss"], rel=1e-3)


def test_a_snapshot_is_the_network_at_the_end_of_its_cycle(run: Path) -> None:
    assert [state["step"].item() for state in snapshots(run)] == [40, 60]
    assert {20, 40, 60} <= {row["step"] for row in history_of(run)}
    first, last = snapshots(run)
    final = arrays_of(run)
    assert all(np.array_equal(last[key], final[key]) for key in last)
    assert not np.array_equal(first["W1"], last["W1"])
    assert {"bn1.mean", "bn1.variance", "bn2.mean", "bn2.variance"} <= first.keys()


def test_the_summary_tells_it(run: Path) -> None:
    metrics = metrics_of(run)
    val, test = metrics["ensemble_val_accuracy"], metrics["ensemble_test_accuracy"]
    line = f"ensemble   validation {val:.2%}, test {test:.2%}: mean of the snapshots of the last 2 cycles\n"
    assert line in (run / "train.log").read_text()


@pytest.mark.parametrize("step", [20, 33])
def test_a_training_that_goes_on_has_all_snapshots(step: int, run: Path, tmp_path: Path) -> None:
    folder = interrupted(tmp_path, step, *ENSEMBLE)
    resumed(tmp_path, folder)
    assert_same_run(folder, run)
    for got, expected in zip(snapshots(folder), snapshots(run), strict=True):
        assert all(got[key].tobytes() == expected[key].tobytes() for key in expected)


def test_members_of_a_population_have_their_own(run: Path, tmp_path: Path) -> None:
    """One of the four is the run alone, another one diverges."""
    jobs = []
    for i, change in enumerate(("lam=0.5", "lam=0.005", "optimizer.schedule.eta_max=1e200", "lam=0.1")):
        (tmp_path / str(i)).mkdir()
        jobs.append(Job(validate(composed(*ENSEMBLE, change)), tmp_path / str(i)))
    assert [len(group) for group in groups(jobs)] == [4]
    assert errors_of([jobs]) == {}
    assert {key: metrics_of(tmp_path / "1")[key] for key in KEYS} == pytest.approx(
        {key: metrics_of(run)[key] for key in KEYS}, rel=1e-9
    )
    assert metrics_of(tmp_path / "0")["ensemble_val_loss"] == pytest.approx(
        by_hand(tmp_path / "0")["ensemble_val_loss"], rel=1e-12
    )
    diverged = metrics_of(tmp_path / "2")
    assert diverged[names.STATUS] == names.DIVERGED
    assert {key: diverged[key] for key in KEYS} == {key: math.log(10) if key.endswith("loss") else 0.1 for key in KEYS}


def test_the_mean_goes_over_views(cifar_root: Path, tmp_path: Path) -> None:
    """Of one snapshot: 2 x 3 x 3 flips and shifts of each picture, made here by padding and slicing."""
    wish = (*ENSEMBLE, "ensemble.snapshots=1", "ensemble.reach=1", "data.projection=0.9", "data.whitening=0.5")
    folder = trained(tmp_path, *wish)
    settings = validate(composed(*wish))
    data, state = build.data_set(settings), arrays_of(folder)
    assert data.projection is not None
    metrics = metrics_of(folder)
    for name, split in (("val", data.pixels.val), ("test", data.pixels.test)):
        pictures = split.x.reshape(-1, 3, 32, 32)
        padded = np.pad(pictures, ((0, 0), (0, 0), (1, 1), (1, 1)))
        mean: Any = 0.0
        for dy, dx, step in itertools.product(range(3), range(3), (1, -1)):
            view = padded[:, :, dy : dy + 32, dx : dx + 32][..., ::step].reshape(len(pictures), -1)
            inputs = view @ data.projection.axes
            logits, _ = plain_forward(build.architecture(settings, data.inputs), state, inputs, kept=True)
            e = np.exp(logits)
            mean = mean + e / e.sum(axis=1, keepdims=True) / 18
        loss = -np.log(mean[np.arange(len(split.y)), split.y]).mean()
        assert metrics[f"ensemble_{name}_loss"] == pytest.approx(loss, rel=1e-9)
        assert metrics[f"ensemble_{name}_accuracy"] == (mean.argmax(axis=1) == split.y).mean()
    assert metrics["ensemble_val_loss"] != pytest.approx(metrics["val_loss"], rel=1e-4)
    assert "mean of the snapshots of the last cycle, 18 views of each picture\n" in (folder / "train.log").read_text()


def test_views_are_of_the_augmented_test_pictures(cifar_root: Path, tmp_path: Path) -> None:
    """Where all of them are mirrored, the picture and its mirror image are the same two views."""
    views = (*ENSEMBLE, "ensemble.reach=0")
    turned = (*views, "data.test_augmentation.share=1.0", "data.test_augmentation.flip=1.0")
    plain, mirrored = metrics_of(trained(tmp_path / "a", *views)), metrics_of(trained(tmp_path / "b", *turned))
    assert plain["test_loss"] != mirrored["test_loss"]
    assert mirrored["ensemble_test_loss"] == pytest.approx(plain["ensemble_test_loss"], rel=1e-12)


def test_without_the_test_set_there_is_no_test_score(cifar_root: Path, tmp_path: Path) -> None:
    metrics = metrics_of(trained(tmp_path, *ENSEMBLE, "evaluation.test=false", "ensemble.snapshots=1"))
    assert metrics["ensemble_val_accuracy"] == metrics["val_accuracy"]
    assert metrics["ensemble_val_loss"] == pytest.approx(metrics["val_loss"], rel=1e-12)
    assert not any("test" in key for key in metrics.keys() & KEYS)


def test_a_run_without_ensemble_keeps_no_snapshots(finished_run: Path) -> None:
    assert not list(finished_run.glob("snapshot*"))
    assert not metrics_of(finished_run).keys() & KEYS


def test_tables_show_it(run: Path, tmp_path: Path) -> None:
    outcome = aggregate_in(tmp_path, str(run), "--metric", "ensemble_test_accuracy", "--out", "tables")
    assert f"{100 * metrics_of(run)['ensemble_test_accuracy']:.2f}" in outcome.out


def test_schedules_without_a_whole_cycle_are_refused(cifar_root: Path, tmp_path: Path) -> None:
    assert mistake(train_in(tmp_path, *DATA, "optimizer=sgd_constant", "ensemble.snapshots=1")) == (
        "ensemble.snapshots=1 needs a cyclic schedule, not constant: a snapshot ends a cycle"
    )
    steps = ("optimizer.schedule.cycles=null", "optimizer.schedule.steps=19")
    assert mistake(train_in(tmp_path, *SMALL, *steps, "ensemble.snapshots=1")) == (
        "ensemble.snapshots=1: must be at most the 0 whole cycles, of 20 steps each, that a training of 19 steps has"
    )
