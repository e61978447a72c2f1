"""kls export: runs in MLflow's SQLite store, each once, brought up to date when they have gone on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from entry_points import Outcome, call, mistake
from made_up_runs import make_run, make_sweep

from kls.export import mlflow_store
from kls.export.__main__ import main
from kls.records import names

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow's use of SQLAlchemy

TIMES = {"started": "2026-01-31T12:00:00+00:00", "ended": "2026-01-31T12:00:12+00:00", "git_commit": "0123abc"}
URI = "sqlite:///store.db"


def exported(cwd: Path, *arguments: str) -> str:
    outcome: Outcome = call(main, (*arguments, "--mlflow", URI), cwd)
    assert (outcome.status, outcome.err) == (0, "")
    return outcome.out.strip()


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """A sweep of two runs, and a run alone that was interrupted."""
    for i in range(2):
        run = make_run(
            tmp_path / f"outputs/search/1/grid/{i}", 0.5 + i / 10, test=0.4, history=3, seed=i, lam=0.1, metrics=TIMES
        )
        (run / names.CURVES).write_bytes(b"a picture")
    make_sweep(tmp_path / "outputs/search/1", [{"name": "grid"}], overrides=["sweeps=lambda_search"])
    make_run(tmp_path / "outputs/day/1", None, status="interrupted", history=1, metrics=TIMES | {"steps": 450})
    return tmp_path


def client(cwd: Path) -> Any:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'kls[mlflow]'")
    return mlflow.MlflowClient(tracking_uri=f"sqlite:///{cwd / 'store.db'}")


def runs_of(store: Any, experiment: str) -> list[Any]:
    number = store.get_experiment_by_name(experiment).experiment_id
    return sorted(store.search_runs([number]), key=lambda run: run.data.tags["mlflow.runName"])


def test_all_of_a_run(outputs: Path) -> None:
    client(outputs)
    assert exported(outputs, "outputs") == "3 added; experiments: kls, lambda_search"
    store = client(outputs)
    first, second = runs_of(store, "lambda_search")
    assert first.info.status == "FINISHED"
    assert (first.info.start_time, first.info.end_time) == (1769860800000, 1769860812000)
    assert {k: first.data.params[k] for k in ("lam", "seed", "model.hidden", "model.bn.enabled", "data.n_train")} == {
        "lam": "0.1", "seed": "0", "model.hidden": "[50, 50]", "model.bn.enabled": "true", "data.n_train": "null",
    }  # fmt: skip
    tags = {k.removeprefix("kls."): v for k, v in first.data.tags.items() if k.startswith("kls.")}
    assert {k: tags[k] for k in ("status", "stage", "trial", "data", "git_commit")} == {
        "status": "finished", "stage": "grid", "trial": "0", "data": "CIFAR-10", "git_commit": "0123abc",
    }  # fmt: skip
    assert tags["folder"] == str((outputs / "outputs/search/1/grid/0").resolve())
    assert second.data.metrics["final_val_accuracy"] == second.data.metrics["val_accuracy"] == pytest.approx(0.6)
    assert second.data.metrics["test_accuracy"] == pytest.approx(0.4)
    series = store.get_metric_history(second.info.run_id, "val_accuracy")
    assert [(m.step, round(m.value, 4)) for m in series] == [(0, 0.1), (450, 0.2667), (900, 0.4333), (1350, 0.6)]
    assert [m.value for m in store.get_metric_history(second.info.run_id, "epoch")] == [0.0, 1.0, 2.0, 3.0]
    (picture,) = store.list_artifacts(first.info.run_id)
    assert picture.path == names.CURVES
    assert Path(store.download_artifacts(first.info.run_id, names.CURVES)).read_bytes() == b"a picture"
    assert sorted(path.name for path in outputs.iterdir()) == ["outputs", "store.db", "store_artifacts"]
    (alone,) = runs_of(store, "kls")
    assert (alone.info.status, alone.data.tags["kls.status"]) == ("KILLED", "interrupted")


def test_nothing_is_added_twice(outputs: Path) -> None:
    client(outputs)
    exported(outputs, "outputs")
    assert exported(outputs, "outputs/search", "outputs/day") == "3 there already; experiments: kls, lambda_search"
    assert exported(outputs / "..", str(outputs / "outputs")) != ""
    store = client(outputs)
    assert len(runs_of(store, "lambda_search")) == 2
    assert exported(outputs, "outputs", "--experiment", "mine") == "3 added; experiments: mine"


def test_a_run_that_has_gone_on_is_brought_up_to_date(outputs: Path) -> None:
    client(outputs)
    exported(outputs, "outputs/day")
    folder = outputs / "outputs/day/1"
    for path in sorted(folder.iterdir()):
        path.unlink()
    folder.rmdir()
    make_run(folder, 0.5, history=3, metrics=TIMES | {"steps": 1350})
    assert exported(outputs, "outputs/day") == "1 updated; experiments: kls"
    store = client(outputs)
    (run,) = runs_of(store, "kls")
    assert (run.info.status, run.data.tags["kls.status"]) == ("FINISHED", "finished")
    assert [m.step for m in store.get_metric_history(run.info.run_id, "train_loss")] == [0, 450, 900, 1350]


def test_an_export_that_was_cut_is_completed(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client(outputs)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.set_terminated", cut)
        assert call(main, ("outputs/search", "--mlflow", URI), outputs).status == 130
    assert exported(outputs, "outputs/search") == "2 added; experiments: lambda_search"
    store = client(outputs)
    runs = runs_of(store, "lambda_search")
    assert len(runs) == 2
    assert [len(store.get_metric_history(run.info.run_id, "val_accuracy")) for run in runs] == [4, 4]


def test_a_damaged_history_is_left_out(outputs: Path) -> None:
    client(outputs)
    (outputs / "outputs/search/1/grid/0" / names.HISTORY).write_text("step\nx\n")
    lines = exported(outputs, "outputs/search").splitlines()
    assert lines[0].endswith("is empty or was cut; exported without it")
    assert lines[1] == "2 added; experiments: lambda_search"


def test_mistakes(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def line(uri: str, *more: str) -> str:
        return mistake(call(main, ("outputs", "--mlflow", uri, *more), outputs))

    assert line("mlruns") == "--mlflow mlruns: give sqlite:///FILE, or http(s)://SERVER"
    assert line("ftp://me:secret@host/x") == "--mlflow ftp://***@host/x: give sqlite:///FILE, or http(s)://SERVER"
    assert line(URI, "--experiment", " ") == "--experiment '': give a name"
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_store, "find_spec", lambda _: None)
        assert line(URI) == "--mlflow: MLflow is not installed; pip install 'kls[mlflow]' does it"
    client(outputs)
    (outputs / "text.db").write_text("no data base at all, but text " * 100)
    assert line("sqlite:///text.db").startswith(f"--mlflow sqlite:///{outputs}/text.db: ")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    told = line("http://me:secret@127.0.0.1:9/")
    assert told.startswith("--mlflow http://***@127.0.0.1:9/: ")
    assert "secret" not in told
    assert json.loads((outputs / "outputs/search/1" / names.SWEEP).read_text())
