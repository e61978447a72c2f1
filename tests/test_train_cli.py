"""kls.train: what a run writes, and whether its numbers are those of the network it saved."""

from __future__ import annotations

import math
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from entry_points import (
    SMALL,
    STEPS,
    Array,
    arrays_of,
    composed,
    config_of,
    file_hashes,
    history_of,
    metrics_of,
    run_folders,
    train_in,
    trained,
)
from plain_scores import plain_scores, small_data

from kls import train
from kls.config.flat_settings import OF_SWEEPS
from kls.config.hydra_entry import run_hydra
from kls.config.validation import validate
from kls.data.dataset import DataSet
from kls.records import names
from kls.sweep.job import task

VARIANTS: dict[str, tuple[str, ...]] = {
    "ema": (),
    "float64": ("dtype=float64",),
    "precise": ("model.bn.statistics=precise", "model.bn.precise_batches=3"),
    "adaptive": ("model.bn.statistics=adaptive",),
    "after": ("model.bn.placement=after", "optimizer.momentum=0.5"),
    "without BN": ("model=3layer",),
    "linear": ("model.hidden=[]",),
    "regularised": ("model.dropout=[0.2,0.1]", "model.label_smoothing=0.1", "lam=0.02"),
}
# eta at the rows' steps: up from 1e-5 to 0.1 in 10 steps, down in 10, and again; after the last step that of step 39
SHARES_OF_THE_WAY_UP = {0: 0.0, 7: 0.7, 14: 0.6, 21: 0.1, 28: 0.8, 35: 0.5, 40: 0.1}


@pytest.fixture(scope="module")
def data(cifar_root: Path) -> DataSet:
    return small_data(cifar_root)


def picture(path: Path) -> Array:
    with path.open("rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    return np.asarray(matplotlib.image.imread(path))


@pytest.mark.parametrize("variant", VARIANTS)
def test_metrics_are_those_of_the_saved_network(variant: str, data: DataSet, tmp_path: Path) -> None:
    folder = trained(tmp_path, *SMALL, *VARIANTS[variant])
    metrics, history = metrics_of(folder), history_of(folder)
    exact = {"abs": 1e-11} if variant == "float64" else {"abs": 2e-6}
    for split in names.SPLITS:
        part = getattr(data, split)
        expected = plain_scores(folder, part.x, part.y, kept=variant != "adaptive")
        assert metrics[f"{split}_loss"] == pytest.approx(expected.loss, **exact)
        assert metrics[f"{split}_cost"] == pytest.approx(expected.cost, **exact)
        assert metrics[f"{split}_accuracy"] == expected.accuracy
    assert metrics["test_accuracy"] > 0.2
    last = history[-1]
    assert {key: value for key, value in last.items() if key.startswith("val")} == {
        key: metrics[key] for key in ("val_loss", "val_cost", "val_accuracy")
    }
    first_200 = plain_scores(folder, data.train.x[:200], data.train.y[:200], kept=variant != "adaptive")
    assert last["train_loss"] == pytest.approx(first_200.loss, **exact)
    assert last["train_accuracy"] == first_200.accuracy


def test_best_is_the_network_of_the_best_step(data: DataSet, tmp_path: Path) -> None:
    end_at_the_top = ("cycles=null", "steps=30", "eta_max=5")
    folder = trained(tmp_path, *SMALL, *(f"optimizer.schedule.{setting}" for setting in end_at_the_top))
    metrics, best = metrics_of(folder), arrays_of(folder, names.BEST)
    rows = {int(row["step"]): row for row in history_of(folder)}
    accuracies = [row["val_accuracy"] for row in rows.values()]
    assert metrics["best_val_accuracy"] == max(accuracies) > metrics["val_accuracy"]
    assert metrics["best_step"] == best["step"] == list(rows)[accuracies.index(max(accuracies))]
    scores = plain_scores(folder, data.val.x, data.val.y, names.BEST)
    assert scores.accuracy == max(accuracies)
    assert scores.loss == pytest.approx(rows[metrics["best_step"]]["val_loss"], abs=2e-6)
    assert {key for key in arrays_of(folder) if key not in best} == {"dropout_rng", "history", "seconds", "settings"}


def test_of_equal_networks_the_first_is_the_best(cifar_root: Path, tmp_path: Path) -> None:
    no_move = ("optimizer.schedule.eta_min=0", "optimizer.schedule.eta_max=1e-300")
    folder = trained(tmp_path, *SMALL, "model=3layer", *no_move)
    assert len({row["val_accuracy"] for row in history_of(folder)}) == 1
    assert metrics_of(folder)["best_step"] == arrays_of(folder, names.BEST)["step"] == 0


def test_history_has_the_learning_rates_of_the_schedule(finished_run: Path) -> None:
    history = history_of(finished_run)
    assert [row["step"] for row in history] == list(SHARES_OF_THE_WAY_UP)
    assert [row["epoch"] for row in history] == [step / 12 for step in SHARES_OF_THE_WAY_UP]
    expected = [1e-5 + share * (0.1 - 1e-5) for share in SHARES_OF_THE_WAY_UP.values()]
    assert [row["eta"] for row in history] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("overrides", "steps", "rows", "etas"),
    [
        (("optimizer=sgd_constant", "optimizer.schedule.eta=0.03"), 12, [0, 7, 12], [0.03] * 3),
        (("optimizer=sgd_step", "optimizer.schedule.every=5"), 12, [0, 7, 12], [0.05, 0.025, 0.0125]),
        (("optimizer=sgd_constant", "evaluation.every_steps=null"), 24, [0, 12, 24], [0.01] * 3),
    ],
)
def test_other_schedules_and_lengths(
    overrides: tuple[str, ...], steps: int, rows: list[int], etas: list[float], cifar_root: Path, tmp_path: Path
) -> None:
    others = [setting for setting in SMALL if not setting.startswith("optimizer")]
    folder = trained(tmp_path, *others, *overrides, f"optimizer.schedule.epochs={steps // 12}")
    assert [row["step"] for row in history_of(folder)] == rows
    assert [row["eta"] for row in history_of(folder)] == etas
    assert metrics_of(folder)["planned_steps"] == metrics_of(folder)["steps"] == steps


def test_metrics_tell_data_size_and_length(data: DataSet, finished_run: Path) -> None:
    expected: dict[str, Any] = {
        "status": "finished", "message": None, "data": "CIFAR-10", "data_fingerprint": data.fingerprint,
        "n_train": 600, "n_val": 200, "n_test": 200, "layers": 3, "population": 1,
        "parameters": 3072 * 20 + 20 * 10 + 10 * 10 + 10 + 2 * (20 + 10),
        "planned_steps": STEPS, "planned_epochs": STEPS / 12, "steps": STEPS, "epochs": STEPS / 12,
        "numpy_version": np.__version__,
    }  # fmt: skip
    metrics = metrics_of(finished_run)
    assert {key: metrics[key] for key in expected} == expected
    assert metrics["seconds"] >= metrics["training_seconds"] > 0.0
    assert metrics["steps_per_second"] == pytest.approx(STEPS / metrics["training_seconds"])
    assert metrics["started"] <= metrics["ended"]


def test_config_is_the_composed_one(finished_run: Path) -> None:
    config = config_of(finished_run)
    own = {key: value for key, value in composed(*SMALL).items() if key not in OF_SWEEPS}
    assert config == own
    assert validate(config).model_dump(exclude=set(OF_SWEEPS)) == config


def test_files_of_a_run_and_its_pictures(cifar_root: Path, tmp_path: Path) -> None:
    folder = trained(tmp_path, *SMALL, "plots=true", "name=studies/first")
    assert folder.relative_to(tmp_path).parts[:3] == ("outputs", "studies", "first")
    assert {path.name for path in folder.iterdir()} == {
        ".hydra", ".lock", "config.yaml", "metrics.json", "history.csv", "inputs.npz", "last.npz", "best.npz",
        "train.log", "curves.png", "weights.png",
    }  # fmt: skip
    for name in (names.CURVES, names.WEIGHTS):
        pixels = picture(folder / name)
        assert min(pixels.shape[:2]) > 200
        assert pixels[..., :3].std() > 0.01


def test_summary_tells_the_numbers_of_the_metrics(cifar_root: Path, tmp_path: Path) -> None:
    outcome = train_in(tmp_path, *SMALL)
    (folder,) = run_folders(tmp_path)
    metrics = metrics_of(folder)
    assert (outcome.status, outcome.err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in outcome.out.splitlines())
    assert outcome.out.splitlines()[0].endswith("CIFAR-10: 600 training, 200 validation, 200 test pictures")
    assert lines["network"] == "3-layer [20, 10] with BN, 61,810 parameters"
    assert lines["training"] == "40 steps, 3.333 epochs, seed 0, lam 0.005"
    assert lines["validation"].startswith(f"{metrics['val_accuracy']:.2%} at the end, best ")
    assert lines["test"] == f"{metrics['test_accuracy']:.2%} (one seed)"
    assert lines["folder"] == str(folder)


def test_task_returns_the_validation_accuracy(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    returned: list[float] = []
    monkeypatch.setattr(train, "run", lambda: run_hydra(lambda c: returned.append(task(c)), "train", SMALL, ""))
    trained(tmp_path)
    assert returned == [metrics_of(finished_run)["val_accuracy"]]


def test_the_test_set_can_be_left_alone(finished_run: Path, tmp_path: Path) -> None:
    folder = trained(tmp_path, *SMALL, "evaluation.test=false")
    metrics, complete = metrics_of(folder), metrics_of(finished_run)
    assert set(complete) - set(metrics) == {"test_loss", "test_cost", "test_accuracy"}
    assert metrics["val_loss"] == complete["val_loss"]


def test_test_augmentation_touches_the_test_scores_alone(finished_run: Path, tmp_path: Path) -> None:
    shifted = ("share=1", "flip=1", "translate=1", "reach=8")
    folder = trained(tmp_path, *SMALL, *(f"data.test_augmentation.{setting}" for setting in shifted))
    metrics, plain = metrics_of(folder), metrics_of(finished_run)
    assert metrics["test_loss"] > plain["test_loss"] + 0.1
    assert all(metrics[key] == plain[key] for key in ("train_loss", "val_loss", "val_accuracy"))


def test_divergence_is_a_result_at_the_level_of_chance(cifar_root: Path, tmp_path: Path) -> None:
    outcome = train_in(
        tmp_path, *SMALL, "model=3layer", "optimizer.schedule.eta_min=1e6", "optimizer.schedule.eta_max=1e6",
        "plots=true",
    )  # fmt: skip
    assert (outcome.status, outcome.err) == (0, "")
    (folder,) = run_folders(tmp_path)
    metrics = metrics_of(folder)
    assert metrics["status"] == "diverged"
    assert 0 < metrics["steps"] < STEPS
    assert metrics["message"] == f"the loss was no longer finite at step {metrics['steps']}"
    for split in names.SPLITS:
        assert [metrics[f"{split}_{q}"] for q in ("accuracy", "loss", "cost")] == [0.1, math.log(10), math.log(10)]
    assert f"diverged   {metrics['message']}; counted as chance, 10.00%" in outcome.out
    assert {"history.csv", "curves.png"} <= set(file_hashes(folder))
    assert metrics["best_step"] == 0
    assert metrics["best_val_accuracy"] == history_of(folder)[0]["val_accuracy"]
    assert arrays_of(folder, names.BEST)["step"] == 0


def test_console_script_is_in_the_metadata() -> None:
    (script,) = entry_points(group="console_scripts", name="kls-train")
    assert script.load() is train.main
