"""kls.load: predictions from a run's folder alone, equal to kls.evaluate's, and the file that makes them possible."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from entry_points import SMALL, Array, evaluate_in, history_of, metrics_of, train_in, trained
from made_up_cifar10 import NAMES
from small_sweeps import job_folders, swept
from test_older_records import RUN as OLDER

import kls
from kls.api import trained_run
from kls.records import names
from kls.records.arrays import read_arrays, write_arrays
from kls.training import run_inputs

TEST = 200  # pictures, the first of the last file


@pytest.fixture(scope="module")
def raw(cifar_root: Path) -> tuple[Array, Array]:
    """Pictures (200, 3072) uint8 and labels of the test set, from its file."""
    records = np.fromfile(cifar_root / "cifar-10-batches-bin" / f"{NAMES[-1]}.bin", np.uint8).reshape(-1, 3073)[:TEST]
    return records[:, 1:], records[:, 0].astype(int)


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """There are no data files."""
    monkeypatch.setenv("KLS_DATA", str(tmp_path / "nothing"))
    return iter(())


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("model=3layer",),
        ("model.bn.statistics=precise",),
        ("model.bn.statistics=adaptive",),
        ("model.bn.placement=after", "dtype=float64"),
    ],
    ids=lambda overrides: ",".join(overrides) or "ema",
)
def test_predictions_are_those_of_evaluate_to_the_bit(
    overrides: tuple[str, ...], raw: tuple[Array, Array], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = raw
    folder = trained(tmp_path, *SMALL, *overrides)
    assert evaluate_in(tmp_path, str(folder)).status == 0
    report = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    monkeypatch.setenv("KLS_DATA", str(tmp_path / "nothing"))
    run = kls.load(folder)
    index = run.predict_index(x)
    assert np.bincount(y * 10 + index, minlength=100).reshape(10, 10).tolist() == report["confusion"]
    p = run.predict_proba(x)
    assert (p.shape, p.dtype) == ((TEST, 10), np.float64)
    assert np.array_equal(np.argmax(p, axis=1), index)
    assert (index == y).mean() == run.metrics["test_accuracy"]
    loss = -np.log(p[np.arange(TEST), y]).mean()
    assert loss == pytest.approx(metrics_of(folder)["test_loss"], rel=1e-6)
    assert run.predict(x).tolist() == [run.classes[i] for i in index]
    assert list(run.classes[:2]) == ["airplane", "automobile"]


def test_a_run_tells_its_records(finished_run: Path, raw: tuple[Array, Array]) -> None:
    run, metrics = kls.load(str(finished_run)), metrics_of(finished_run)
    assert isinstance(run, kls.Run)
    assert run.metrics == metrics
    assert run.config["batch_size"] == 50
    assert run.history.to_dict("records") == history_of(finished_run)
    assert repr(run) == (
        f"Run({str(finished_run)!r}: 3-layer [20, 10] with BN on CIFAR-10, finished, "
        f"val {metrics['val_accuracy']:.2%}, test {metrics['test_accuracy']:.2%})"
    )
    pictures = raw[0].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    assert np.array_equal(run.predict_proba(pictures.astype(np.float64)), run.predict_proba(raw[0]))
    with pytest.raises(kls.UserError, match=r"^examples of shape \(200, 3, 1024\): must be pictures \(n, 32, 32, 3\)"):
        run.predict(raw[0].reshape(-1, 3, 1024))


def test_the_best_network_predicts_where_it_is_asked_for(
    finished_run: Path, raw: tuple[Array, Array], tmp_path: Path
) -> None:
    folder = shutil.copytree(finished_run, tmp_path / "run")
    best = read_arrays(folder / names.BEST)
    b3 = (np.arange(10) == 2).astype(best["b3"].dtype)
    write_arrays(folder / names.BEST, best | {"W3": 0 * best["W3"], "b3": b3})
    assert set(kls.load(folder, "best").predict(raw[0])) == {"bird"}
    assert len(set(kls.load(folder).predict(raw[0]))) > 3


@pytest.mark.parametrize(
    ("class_names", "classes"),
    [(("0", "7", "12"), [0, 7, 12]), (("0", "07"), ["0", "07"]), (("-1", "1"), ["-1", "1"]), (("²",), ["²"])],
)
def test_classes_are_integers_where_their_names_are(
    class_names: tuple[str, ...], classes: list[object], finished_run: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(finished_run, tmp_path / "run")
    arrays = read_arrays(folder / names.INPUTS) | {"class_names": np.array(class_names)}
    write_arrays(folder / names.INPUTS, arrays)
    assert kls.load(folder).classes.tolist() == classes


@pytest.mark.usefixtures("no_data")
def test_what_is_not_there_is_told_in_one_line(finished_run: Path, raw: tuple[Array, Array], tmp_path: Path) -> None:
    with pytest.raises(kls.UserError, match=r"/none: not a run's folder, it has no config\.yaml$"):
        kls.load(tmp_path / "none")
    folder = shutil.copytree(finished_run, tmp_path / "run")
    path = folder / names.INPUTS

    def told() -> str:
        with pytest.raises(kls.UserError) as caught:
            kls.load(folder).predict(raw[0])
        (line,) = str(caught.value).splitlines()
        return line

    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    assert told().startswith(f"{path}: does not hold whole arrays (")
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    assert told().startswith(f"{path}: does not hold whole arrays (Bad CRC-32")
    path.write_bytes(whole)
    arrays = read_arrays(path)
    path.unlink()
    write_arrays(path, arrays | {"sd": -arrays["sd"]})
    assert told() == f"{path}: is no record of inputs (sd does not fit the others)"
    write_arrays(path, arrays | {"data_fingerprint": np.array("0" * 16)})
    known = metrics_of(folder)["data_fingerprint"]
    assert told() == f"{path}: is of the data '0000000000000000'; the run's are {known!r}"
    write_arrays(path, arrays | {"axes": np.eye(3072, 5, dtype=np.float32)})
    assert told().startswith(f"{folder / 'last.npz'}: does not fit the run's settings (W1 is float32 (3072, 20)")
    path.unlink()
    assert told().startswith(f"{folder}: has no inputs.npz, so its data set is needed: CIFAR-10 is not in ")


def test_an_older_run_takes_its_data_set(raw: tuple[Array, Array], tmp_path: Path) -> None:
    folder = shutil.copytree(OLDER, tmp_path / "run")
    (row,) = [row for row in history_of(folder) if row["step"] == 21]
    run = kls.load(folder, "best")
    assert (run.predict_index(raw[0]) == raw[1]).mean() == pytest.approx(row["val_accuracy"], abs=0.15)
    assert not (folder / names.INPUTS).exists()


def test_a_run_that_goes_on_gets_the_file(stopped: Path, finished_run: Path) -> None:
    wanted = (stopped / names.INPUTS).read_bytes()
    (stopped / names.INPUTS).unlink()
    assert train_in(stopped.parents[2], f"resume={stopped}").status == 0
    assert (stopped / names.INPUTS).read_bytes() == wanted == (finished_run / names.INPUTS).read_bytes()


def test_the_runs_of_a_sweep_share_one_file(cifar_root: Path, tmp_path: Path) -> None:
    """Those of a population, and others of the same stage whose inputs are the same."""
    folder = swept(tmp_path, "lam=choice(0.1,0.2)", "model.hidden=choice([6],[4])")
    (stage,) = [path.parent for path in folder.glob("*/0")]
    files = [(job / names.INPUTS).stat() for job in job_folders(folder, stage.name)]
    assert [stat.st_nlink for stat in files] == [4] * 4
    assert len({stat.st_ino for stat in files}) == 1
    other = replace(run_inputs.read_inputs(stage / "0", kls.load(stage / "0")._settings), class_names=("a", "b"))
    (stage / "4").mkdir()
    run_inputs.put_inputs(other, [stage / "4"])
    assert (stage / "4" / names.INPUTS).stat().st_nlink == 1


def test_without_links_each_run_has_its_own(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    inputs = run_inputs.read_inputs(finished_run, trained_run.load_settings(finished_run))
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    run_inputs.put_inputs(inputs, folders)
    wanted = (finished_run / names.INPUTS).read_bytes()
    assert [sorted(path.name for path in folder.iterdir()) for folder in folders] == [[names.INPUTS]] * 2
    assert [(folder / names.INPUTS).read_bytes() for folder in folders] == [wanted] * 2
    assert len({(folder / names.INPUTS).stat().st_ino for folder in folders}) == 2
    before = (folders[0] / names.INPUTS).stat()
    run_inputs.put_inputs(inputs, folders)
    assert (folders[0] / names.INPUTS).stat() == before


def test_two_runs_that_share_each_others_file_at_once(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def linked_meanwhile(path: Path) -> Iterator[Path]:
        os.link(path, twin)
        yield twin

    twin = tmp_path / "1" / names.INPUTS
    for folder in (tmp_path / "0", twin.parent):
        folder.mkdir()
    monkeypatch.setattr(run_inputs, "_of_other_trials", linked_meanwhile)
    inputs = run_inputs.read_inputs(finished_run, trained_run.load_settings(finished_run))
    run_inputs.put_inputs(inputs, [tmp_path / "0"])
    assert sorted(path.name for path in tmp_path.glob("*/*")) == [names.INPUTS] * 2
    assert twin.stat().st_nlink == 2
