"""Runs and sweeps on a user's own file, from the command line: trained, drawn, gone on with and evaluated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from entry_points import (
    arrays_of,
    assert_same_run,
    config_of,
    evaluate_in,
    metrics_of,
    mistake,
    train_in,
    trained,
)

from kls.records import names

TINY = ("model.hidden=[8]", "batch_size=10", "optimizer.schedule.n_s=10", "optimizer.schedule.cycles=2", "plots=false")
OWN = ("data=arrays", "data.path=mine.npz", *TINY)


def write(folder: Path, shape: tuple[int, ...] = (6,), n: int = 120, name: str = "mine.npz", **changes: Any) -> Path:
    """Three classes that are easily told apart, each around a centre of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    x = np.clip(rng.integers(0, 200, (3, *shape))[y] + rng.integers(0, 50, (n, *shape)), 0, 255)
    content = {"x_train": x.astype(np.uint8), "y_train": np.array(["fig", "apple", "pear"])[y]} | changes
    np.savez_compressed(folder / name, **content)
    return folder / name


def test_a_run_on_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "work")
    (tmp_path / "work" / "below").mkdir()
    folder = trained(tmp_path / "work" / "below", *OWN, "data.path=../mine.npz")
    metrics, config = metrics_of(folder), config_of(folder)
    assert Path(config["data"]["path"]).resolve() == path
    assert Path(config["data"]["path"]).is_absolute()
    assert (metrics["data"], metrics["classes"], metrics["n_inputs"]) == ("mine.npz", 3, 6)
    assert (metrics["n_train"], metrics["n_val"], metrics["n_test"]) == (87, 9, 24)
    assert (metrics["test_held_out"], metrics["image_shape"]) == (0.2, None)
    assert metrics["test_accuracy"] > 0.9
    assert arrays_of(folder)["W1"].shape == (6, 8)


def test_what_is_held_out_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    outcome = train_in(tmp_path, *OWN)
    assert "mine.npz has no test part: 20 % of each class are held out as one (data.test_share" in outcome.out
    assert "mine.npz: 87 training, 9 validation, 24 test examples (0.2 of each class, held out)" in outcome.out
    assert outcome.err == ""


@pytest.mark.parametrize(
    ("shape", "drawn"), [((5, 7), True), ((5, 7, 3), True), ((5, 7, 2), False), ((6,), False)], ids=str
)
def test_pictures_of_any_size_are_augmented_and_drawn(shape: tuple[int, ...], drawn: bool, tmp_path: Path) -> None:
    write(tmp_path, shape)
    views = ["data.augmentation.flip=0.5", "data.augmentation.translate=1", "data.augmentation.reach=4"]
    views += ["data.test_augmentation.share=0.5", "data.test_augmentation.flip=1", "ensemble.snapshots=1"]
    views += ["ensemble.reach=1", "data.projection=0.99"] if shape == (5, 7, 2) else []
    folder = trained(tmp_path, *OWN, "plots=true", *(views if len(shape) > 1 else []))
    assert (folder / names.CURVES).is_file()
    assert (folder / names.WEIGHTS).is_file() is drawn
    expected = None if len(shape) == 1 else [(*shape, 1)[2], *shape[:2]]
    assert metrics_of(folder)["image_shape"] == expected


@pytest.mark.parametrize(
    ("shape", "given", "message"),
    [
        ((6,), ["data.augmentation.flip=0.5"],
         "data.augmentation: mine.npz holds no pictures, and only pictures can be flipped and shifted"),
        ((6,), ["ensemble.snapshots=1", "ensemble.reach=0"],
         "ensemble: mine.npz holds no pictures, and only pictures can be flipped and shifted"),
        ((5, 7), ["data.augmentation.translate=1", "data.augmentation.reach=5"],
         "data.augmentation.reach=5: must be below the sides of the pictures, 5 x 7"),
        ((6,), ["batch_size=88"], "batch_size=88 must not be above the 87 training examples"),
        ((6,), ["data.n_val=97"], "n_train is -1; each set needs at least 1 example"),
        ((6,), ["data.n_train=90", "data.n_val=10"],
         "n_train 90 and n_val 10 need 100 training examples; mine.npz has 96"),
        ((6,), ["data.n_test=25"], "n_test is 25; mine.npz has 24 test examples"),
        ((6,), ["ensemble.snapshots=3"], "ensemble.snapshots=3: must be at most the 2 whole cycles"),
        ((6,), ["optimizer.schedule.cycles=null", "optimizer.schedule.epochs=100000000"],
         "optimizer.schedule: 800000000 steps in all are more than 100000000"),
        ((6,), ["data.path=no.npz"], "data.path={0}/no.npz: there is no such file"),
        ((6,), ["data.path=mine.txt"], "data: path={0}/mine.txt: must be a file .npz, .csv or .parquet"),
        ((6,), ["data.path=null"], "data: source=arrays reads a file of yours: give data.path=FILE.npz, FILE.csv or"),
        ((6,), ["data.path=mine.csv"], "data: path={0}/mine.csv is a table: give data.target=COLUMN, the one with"),
        ((6,), ["data.target=kind"], "data: target=kind is for tables; of {0}/mine.npz the classes are y_train"),
        ((6,), ["data=cifar10"], "data: path={0}/mine.npz is for files of your own: take data=arrays"),
        ((6,), ["data.test_share=1"], "data.test_share=1: must be less than 1"),
    ],
)  # fmt: skip
def test_mistakes_leave_nothing_behind(shape: tuple[int, ...], given: list[str], message: str, tmp_path: Path) -> None:
    write(tmp_path, shape)
    own = [argument for argument in OWN if argument.split("=")[0] not in {name.split("=")[0] for name in given}]
    line = mistake(train_in(tmp_path, *own, *given))
    assert line.startswith(message.format(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.npz"]


def test_fewer_examples_than_dimensions_can_be_projected(tmp_path: Path) -> None:
    write(tmp_path, (50,), n=40)
    for given in (("data.projection=1",), ("data.projection=0.9", "data.whitening=2")):
        folder = trained(tmp_path / given[0], *OWN, "data.path=../mine.npz", *given)
        metrics = metrics_of(folder)
        assert np.isfinite(metrics["test_loss"])
        assert metrics["n_inputs"] == 50 if given[0].endswith("=1") else metrics["n_inputs"] < 30


def test_a_run_goes_on_where_the_command_says_that_the_data_are(tmp_path: Path) -> None:
    path = write(tmp_path)
    whole = trained(tmp_path / "whole", *OWN, "data.path=../mine.npz")
    cut = Path(shutil.copytree(whole, tmp_path / "cut"))
    (cut / names.METRICS).unlink()
    assert mistake(train_in(tmp_path, f"resume={cut}")) == (
        f"{cut}: its data were read from {tmp_path}/whole/../mine.npz; say where they are by "
        f"data.path='{tmp_path}/whole/../mine.npz'"
    )
    assert train_in(tmp_path, f"resume={cut}", f"data.path={path}").status == 0
    assert_same_run(cut, whole)
    write(tmp_path, name="other.npz", y_train=np.arange(120) % 4)
    (cut / names.HISTORY).unlink()
    line = mistake(train_in(tmp_path, f"resume={cut}", "data.path=other.npz"))
    assert line.startswith(f"{cut}: data was mine.npz and is now other.npz")


def test_a_run_is_evaluated_where_the_command_says_that_the_data_are(tmp_path: Path) -> None:
    write(tmp_path)
    folder = trained(tmp_path / "run", *OWN, "data.path=../mine.npz")
    line = mistake(evaluate_in(tmp_path, str(folder)))
    recorded = f"{tmp_path}/run/../mine.npz"
    assert line == f"{folder}: the run had its data in {recorded!r}; say where they are by --data-path"
    outcome = evaluate_in(tmp_path, str(folder), "--data-path", "mine.npz")
    assert (outcome.status, outcome.err) == (0, "")
    report = json.loads((folder / "evaluation.json").read_text())
    assert report["splits"]["test"]["accuracy"] == metrics_of(folder)["test_accuracy"]
    assert list(report["class_accuracy"]) == ["apple", "fig", "pear"]


@pytest.mark.slow
def test_a_sweep_on_a_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    lines = ["a,b,kind"]
    lines += [f"{rng.normal(3 * (i % 2)):.4f},{rng.normal():.4f},{['no', 'yes'][i % 2]}" for i in range(100)]
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    command = ("--multirun", "data=arrays", "data.path=mine.csv", "data.target=kind", *TINY, "lam=0.001,0.01")
    outcome = train_in(tmp_path, *command, "hydra.launcher.n_jobs=1", "hydra.sweep.dir=sweep")
    assert (outcome.status, outcome.err) == (0, "")
    folders = [path.parent for path in (tmp_path / "sweep").rglob(names.METRICS)]
    assert [metrics_of(folder)["population"] for folder in folders] == [2, 2]
    assert "mine.csv" in outcome.out
    sweep = tmp_path / "sweep"
    assert mistake(train_in(tmp_path, "--multirun", f"resume={sweep}")) == (
        f"{sweep}: its data were read from mine.csv; say where they are by data.path='mine.csv'"
    )
    again = train_in(tmp_path, "--multirun", f"data.path={tmp_path / 'mine.csv'}", f"resume={sweep}")
    assert (again.status, again.err) == (0, "")


def test_a_sweep_is_refused_before_its_first_job(tmp_path: Path) -> None:
    write(tmp_path, x_test=np.zeros((3, 5)), y_test=np.array(["fig"] * 3))
    line = mistake(train_in(tmp_path, "--multirun", *OWN, "lam=0.001,0.01", "hydra.sweep.dir=sweep"))
    assert line == f"{tmp_path / 'mine.npz'}: an example of x_test has shape (5,), one of x_train has (6,)"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.npz"]
