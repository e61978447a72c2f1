"""kls.evaluate: scores of a saved network with each kind of BN statistics, confusion matrix, and its options."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from entry_points import (
    SMALL,
    Array,
    arrays_of,
    config_of,
    evaluate_in,
    file_hashes,
    metrics_of,
    mistake,
    python,
    trained,
)
from helpers import plain_forward
from plain_scores import plain_architecture, plain_scores, plain_state, small_data

from kls.core.streams import stream
from kls.data.dataset import DataSet
from kls.records import names
from kls.records.arrays import write_arrays
from kls.records.run_folder import RunFolder

BATCH = 50
N_BATCHES = 12  # of an epoch


@pytest.fixture(scope="module")
def data(cifar_root: Path) -> DataSet:
    return small_data(cifar_root)


@pytest.fixture
def folder(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be written into."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


def report(folder: Path, name: str = "", *options: str) -> dict[str, Any]:
    """Evaluate, check that nothing but the two new files has changed, and give the report."""
    before = file_hashes(folder)
    outcome = evaluate_in(folder.parent, folder.name, *options)
    assert (outcome.status, outcome.err) == (0, "")
    after = file_hashes(folder)
    assert after.keys() - before.keys() == {f"evaluation{name}.json", f"confusion{name}.png"}
    assert {key: after[key] for key in before} == before
    content = json.loads((folder / f"evaluation{name}.json").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


@pytest.mark.parametrize("statistics", ["ema", "precise", "adaptive"])
def test_scores_with_the_runs_own_statistics_are_those_of_its_metrics(
    statistics: str, cifar_root: Path, tmp_path: Path
) -> None:
    folder = trained(tmp_path, *SMALL, f"model.bn.statistics={statistics}")
    metrics = metrics_of(folder)
    found = report(folder)
    assert found["splits"] == {
        split: {"pictures": metrics[f"n_{split}"]} | {q: metrics[f"{split}_{q}"] for q in names.QUANTITIES}
        for split in names.SPLITS
    }
    assert (found["checkpoint"], found["statistics"]) == ("last", statistics)
    assert (found["data"], found["data_fingerprint"]) == ("CIFAR-10", metrics["data_fingerprint"])
    assert report(folder, f"-{statistics}", "--statistics", statistics)["splits"] == found["splits"]


def test_network_without_batch_norm(cifar_root: Path, tmp_path: Path) -> None:
    folder = trained(tmp_path, *SMALL, "model=3layer")
    found = report(folder)
    assert found["splits"]["test"]["loss"] == metrics_of(folder)["test_loss"]
    assert found["statistics"] == "none"
    line = mistake(evaluate_in(folder, str(folder), "--statistics", "adaptive"))
    assert line == f"--statistics adaptive: the run in {folder} has no batch norm"


def test_adaptive_statistics_are_those_of_the_evaluated_set(folder: Path, data: DataSet) -> None:
    found = report(folder, "-adaptive", "--statistics", "adaptive")["splits"]
    for split in names.SPLITS:
        part = getattr(data, split)
        expected = plain_scores(folder, part.x, part.y, kept=False)
        assert found[split]["loss"] == pytest.approx(expected.loss, abs=2e-6)
        assert found[split]["cost"] == pytest.approx(expected.cost, abs=2e-6)
        assert found[split]["accuracy"] == expected.accuracy
    assert found["test"]["loss"] != metrics_of(folder)["test_loss"]


def last_batches(folder: Path, data: DataSet, n: int) -> list[list[Array]]:
    """What each batch norm was given, (50, m), in the last n of the 40 steps, had the weights been the final ones."""
    seen = []
    for step in range(40 - n, 40):
        epoch, position = divmod(step, N_BATCHES)
        order = stream(0, "order", epoch).permutation(600)[position * BATCH : (position + 1) * BATCH]
        seen.append(plain_forward(plain_architecture(folder), plain_state(folder), data.train.x[order])[1])
    return seen


def test_precise_statistics_of_a_run_that_kept_others(folder: Path, data: DataSet) -> None:
    """Mean and variance over the last 10 mini-batches: those of all their 500 pictures together."""
    found = report(folder, "-precise", "--statistics", "precise")["splits"]
    state = plain_state(folder)
    for layer, inputs in enumerate(zip(*last_batches(folder, data, 10), strict=True), start=1):
        pooled = np.concatenate(inputs)
        state |= {f"bn{layer}.mean": pooled.mean(axis=0), f"bn{layer}.variance": pooled.var(axis=0)}
    expected = plain_scores(folder, data.test.x, data.test.y, state=state)
    assert found["test"]["loss"] == pytest.approx(expected.loss, abs=5e-6)
    assert found["test"]["accuracy"] == expected.accuracy


def test_running_average_of_a_run_that_kept_others(cifar_root: Path, data: DataSet, tmp_path: Path) -> None:
    """An average over the last epoch's 12 mini-batches that starts at the first one's values."""
    folder = trained(tmp_path, *SMALL, "model.bn.statistics=adaptive", "model.bn.momentum=0.8")
    found = report(folder, "-ema", "--statistics", "ema")["splits"]
    state = plain_state(folder)
    assert "bn1.mean" not in state
    for layer, inputs in enumerate(zip(*last_batches(folder, data, N_BATCHES), strict=True), start=1):
        mean, variance = inputs[0].mean(axis=0), inputs[0].var(axis=0)
        for z in inputs[1:]:
            mean, variance = 0.8 * mean + 0.2 * z.mean(axis=0), 0.8 * variance + 0.2 * z.var(axis=0)
        state |= {f"bn{layer}.mean": mean, f"bn{layer}.variance": variance}
    expected = plain_scores(folder, data.test.x, data.test.y, state=state)
    assert found["test"]["loss"] == pytest.approx(expected.loss, abs=5e-6)


def test_best_checkpoint(cifar_root: Path, tmp_path: Path) -> None:
    end_at_the_top = ("cycles=null", "steps=30", "eta_max=5")
    folder = trained(tmp_path, *SMALL, *(f"optimizer.schedule.{setting}" for setting in end_at_the_top))
    found = report(folder, "-best", "--checkpoint", "best")
    metrics = metrics_of(folder)
    assert found["splits"]["val"]["accuracy"] == metrics["best_val_accuracy"] > metrics["val_accuracy"]
    assert found["checkpoint"] == "best"


def test_confusion_matrix_and_classes(folder: Path, data: DataSet) -> None:
    found = report(folder)
    expected = np.zeros((10, 10), int)
    predicted = plain_scores(folder, data.test.x, data.test.y).predicted
    np.add.at(expected, (data.test.y, predicted), 1)
    assert found["confusion"] == expected.tolist()
    pictures, right = expected.sum(axis=1), np.diag(expected)
    assert found["class_accuracy"] == {name: right[c] / pictures[c] for c, name in enumerate(data.class_names)}
    assert right.sum() / 200 == found["splits"]["test"]["accuracy"]
    assert (folder / "confusion.png").read_bytes()[:4] == b"\x89PNG"


def test_printed_tables(folder: Path) -> None:
    out = evaluate_in(folder, str(folder)).out
    metrics = metrics_of(folder)
    assert out.startswith("3-layer [20, 10] with BN, last checkpoint, batch-norm statistics: ema\n")
    assert f"fingerprint {metrics['data_fingerprint']}, one seed (0)" in out
    row = next(line.split() for line in out.splitlines() if line.startswith("test "))
    loss, cost = metrics["test_loss"], metrics["test_cost"]
    assert row == ["test", "200", f"{metrics['test_accuracy']:.2%}", f"{loss:.4f}", f"{cost:.4f}"]
    assert f"written: {folder / 'evaluation.json'}, {folder / 'confusion.png'}" in out


def test_augmented_test_pictures(folder: Path, data: DataSet) -> None:
    """All pictures mirrored is something that can be worked out; half of them lies in between."""
    options = ("--flip", "1", "--translate", "0", "--reach", "0")
    name = "-augmented-share-{}-flip-1-translate-0-reach-0"
    found = report(folder, name.format(1), "--share", "1", *options)
    mirrored = data.test.x.reshape(-1, 3, 32, 32)[..., ::-1].reshape(200, 3072)
    expected = plain_scores(folder, mirrored, data.test.y)
    assert found["splits"]["test"]["loss"] == pytest.approx(expected.loss, abs=2e-6)
    assert found["splits"]["val"]["loss"] == metrics_of(folder)["val_loss"]
    assert found["test_augmentation"] == {"flip": 1.0, "translate": 0.0, "reach": 0, "share": 1.0}
    half = report(folder, name.format(0.5), "--share", "0.5", *options)
    assert metrics_of(folder)["test_loss"] < half["splits"]["test"]["loss"] < found["splits"]["test"]["loss"]


def test_augmentation_of_the_run_is_kept_and_told(cifar_root: Path, tmp_path: Path) -> None:
    folder = trained(tmp_path, *SMALL, "data.test_augmentation.share=1", "data.test_augmentation.flip=1")
    name = "-augmented-share-0-flip-0.5-translate-1-reach-4"
    found, plain = report(folder), report(folder, name, "--share", "0")
    assert found["splits"]["test"]["loss"] == metrics_of(folder)["test_loss"] > plain["splits"]["test"]["loss"]
    assert (found["test_augmentation"]["share"], found["test_augmentation"]["flip"]) == (1.0, 1.0)
    assert plain["test_augmentation"]["share"] == 0.0


@pytest.mark.slow
def test_evaluations_that_differ_have_files_of_their_own(folder: Path) -> None:
    common = ("--share", "0.5", "--translate", "1")
    for flip, reach in (("0.5", "4"), ("0", "4"), ("0.1234567", "4"), ("0.1234568", "4"), ("0.5", "3")):
        name = f"-augmented-share-0.5-flip-{flip}-translate-1-reach-{reach}"
        report(folder, name, *common, "--flip", flip, "--reach", reach)


@pytest.mark.parametrize(
    ("options", "said"),
    [("--flip 1", "--flip"), ("--reach 0 --translate 0", "--translate, --reach"), ("--flip 0.5", "--flip")],
)
def test_options_of_an_augmentation_that_is_not_asked_for(options: str, said: str, folder: Path) -> None:
    before = file_hashes(folder)
    line = mistake(evaluate_in(folder, str(folder), *options.split()))
    assert line == f"{said}: give --share too, the share of the test pictures to augment"
    assert file_hashes(folder) == before


def recorded_root(folder: Path, root: str) -> None:
    """Let the run say that its data lay elsewhere."""
    run = RunFolder(folder)
    config = run.read_config()
    config["data"]["root"] = root
    run.write_config(config)


def test_a_runs_folder_does_not_choose_where_data_are_read(
    folder: Path, cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap, empty = tmp_path / "trap", tmp_path / "empty"
    recorded_root(folder, str(trap))
    expected = report(folder)
    (folder / "evaluation.json").unlink()
    (folder / "confusion.png").unlink()
    monkeypatch.setenv("KLS_DATA", str(empty))
    assert report(folder, "", "--data-root", str(cifar_root)) == expected
    line = mistake(evaluate_in(tmp_path, "run"))
    assert line.startswith(f"CIFAR-10 is not in {empty} and downloading is off: ")
    assert line.endswith(f"; the run had its data in {str(trap)!r}, see --data-root")
    recorded_root(folder, str(empty))
    assert "see --data-root" not in mistake(evaluate_in(tmp_path, "run"))
    assert not trap.exists()
    assert not empty.exists()


def test_nothing_is_fetched_into_another_folder_than_the_runs(folder: Path, tmp_path: Path) -> None:
    run = RunFolder(folder)
    config = run.read_config()
    config["data"] |= {"download": True}
    run.write_config(config)
    line = mistake(evaluate_in(tmp_path, "run", "--data-root", str(tmp_path / "empty")))
    assert line.startswith(f"CIFAR-10 is not in {tmp_path / 'empty'} and downloading is off: ")


def test_a_folder_that_cannot_be_written_to_costs_the_files_and_not_the_numbers(folder: Path) -> None:
    (folder / "evaluation.json").mkdir()
    outcome = evaluate_in(folder.parent, "run")
    assert outcome.status == 1
    assert outcome.err == "error: [Errno 21] Is a directory: 'run/evaluation.json'\n"
    assert f"{metrics_of(folder)['test_accuracy']:.2%}" in outcome.out
    assert "written" not in outcome.out
    assert not (folder / "confusion.png").exists()


@pytest.mark.slow
def test_evaluation_is_the_same_in_another_process(folder: Path) -> None:
    found = report(folder)
    outcome = python(folder, "-m", "kls.evaluate", str(folder))
    assert (outcome.status, outcome.err) == (0, "")
    assert json.loads((folder / "evaluation.json").read_text(encoding="utf-8")) == found


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--share", "1.5"), "data.test_augmentation.share=1.5: must be less than or equal to 1"),
        (("--share", "nan"), "data.test_augmentation.share=nan: must be a finite number"),
        (("--share", "1", "--flip", "2"), "data.test_augmentation.flip=2.0: must be less than or equal to 1"),
        (
            ("--share", "1", "--reach", "0"),
            "data.test_augmentation: translate=1.0 and reach=0 must both be above 0, or both be 0",
        ),
        (("--threads", "0"), "threads=0: must be greater than or equal to 1"),
    ],
)
def test_options_out_of_range(options: tuple[str, ...], line: str, folder: Path) -> None:
    before = file_hashes(folder)
    assert mistake(evaluate_in(folder, str(folder), *options)) == line
    assert file_hashes(folder) == before


@pytest.mark.parametrize("option", ["--statistics mean", "--checkpoint first", "--reach x", "--share"])
def test_options_that_cannot_be_read(option: str, folder: Path) -> None:
    outcome = evaluate_in(folder, str(folder), *option.split())
    assert outcome.status == 2
    assert outcome.err.splitlines()[-1].startswith(f"python -m kls.evaluate: error: argument {option.split()[0]}: ")


def test_folders_that_cannot_be_evaluated(folder: Path, tmp_path: Path) -> None:
    assert mistake(evaluate_in(tmp_path, "nowhere")) == "nowhere: not a run's folder, it has no config.yaml"
    (folder / names.BEST).unlink()
    line = mistake(evaluate_in(tmp_path, "run", "--checkpoint", "best"))
    assert line == "run/best.npz: there is no checkpoint yet"
    (folder / names.LAST).write_bytes(b"")
    assert mistake(evaluate_in(tmp_path, "run")).startswith("run/last.npz: does not hold whole arrays (")
    RunFolder(folder).write_config(config_of(folder) | {"batch_size": 0})
    assert mistake(evaluate_in(tmp_path, "run")) == "run/config.yaml: batch_size=0: must be greater than or equal to 1"


def test_checkpoint_of_another_network(folder: Path, tmp_path: Path) -> None:
    config = config_of(folder)
    RunFolder(folder).write_config(config | {"model": config["model"] | {"hidden": [21, 10]}})
    line = mistake(evaluate_in(tmp_path, "run"))
    assert line == (
        "run/last.npz: does not fit the run's settings (W1 is float32 (3072, 20) and should be float32 (3072, 21))"
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"W1": np.zeros((1, 20), np.float32)}, "W1 is float32 (1, 20) and should be float32 (3072, 20)"),
        ({"W1": np.zeros((3072, 20))}, "W1 is float64 (3072, 20) and should be float32 (3072, 20)"),
        ({"step": np.array([1, 2])}, "step is int64 (2,) and should be int64 ()"),
        ({"bn1.mean": None}, "bn1.mean is missing"),
    ],
)
def test_arrays_that_numpy_would_make_fit_are_refused(
    changed: dict[str, Array | None], reason: str, folder: Path, tmp_path: Path
) -> None:
    state = arrays_of(folder) | changed
    write_arrays(folder / names.LAST, {name: array for name, array in state.items() if array is not None})
    assert mistake(evaluate_in(tmp_path, "run")) == f"run/last.npz: does not fit the run's settings ({reason})"


def test_other_data_are_refused(folder: Path) -> None:
    metrics = metrics_of(folder)
    changed = metrics | {"data_fingerprint": "0123456789abcdef"}
    (folder / names.METRICS).write_text(json.dumps(changed))
    outcome = evaluate_in(folder.parent, folder.name)
    was, now = "0123456789abcdef", metrics["data_fingerprint"]
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err == f"error: {folder.name}: data_fingerprint was {was} and is now {now}\n"
    recorded_root(folder, "/somewhere")
    line = mistake(evaluate_in(folder.parent, folder.name))
    assert line.endswith(f"is now {now}; the run had its data in '/somewhere', see --data-root")


@pytest.mark.parametrize("name", [names.LAST, names.METRICS, names.CONFIG])
@pytest.mark.parametrize("damage", ["empty", "zeros", "cut off", "garbage", "folder", "npz of objects"])
def test_a_damaged_run_is_refused_in_one_line(name: str, damage: str, folder: Path, tmp_path: Path) -> None:
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "zeros":
            path.write_bytes(bytes(len(content)))
        case "cut off":
            path.write_bytes(content[: len(content) // 3])
        case "garbage":
            path.write_bytes(np.random.default_rng(0).bytes(len(content)))
        case "folder":
            path.mkdir()
        case _:
            with path.open("wb") as file:
                np.savez(file, W1=np.array([{}], object))
    before = file_hashes(folder)
    if (name, damage) != (names.METRICS, "folder"):  # as if there were none
        assert mistake(evaluate_in(tmp_path, "run")).startswith("run")
        assert file_hashes(folder) == before
