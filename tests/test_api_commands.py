"""kls.run, kls.run_sweep and kls.runs: what the command line gives, within a process that is left as it was."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from entry_points import SMALL, STEPS, aggregate_in, assert_same_run, config_of, metrics_of, python, trained
from hydra.core.global_hydra import GlobalHydra
from interrupted_training import at_step
from made_up_runs import make_run
from small_sweeps import ALONE, FOLDER, TINY, assert_same_sweep, swept, unsynced

import kls
from kls.api import tables
from kls.records import names
from kls.records.checked import read_csv
from kls.training import progress

GRID = ("lam=choice(0.1,0.2)", "seed=range(2)")


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cifar_root: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr("sqlite3.connect", unsynced)


@pytest.fixture
def _no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kls.report.summary.aggregate", lambda paths, out: f"the report of {out}")


def state() -> dict[str, Any]:
    """What of a process a run could change."""
    root = logging.getLogger()
    loggers = [root, *map(logging.getLogger, ("hydra", "hydra_plugins", "kls", "mine"))]
    return {
        "arguments": sys.argv,
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "loggers": [(one.level, one.handlers[:], one.propagate, one.disabled) for one in loggers],
        "known handlers": [reference() for reference in logging._handlerList],
        "raises": logging.raiseExceptions,
        "warnings": warnings.filters[:],
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "hydra": GlobalHydra.instance().hydra,
        "threads": {thread.name for thread in threading.enumerate()},
    }


def test_runs_by_call_are_those_of_the_command_line(finished_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        run = kls.run([*SMALL])
        assert run.folder.parents[2] == Path.cwd()
        assert_same_run(run.folder, finished_run)
        assert str(run.folder) in capsys.readouterr().out
        assert run.metrics["status"] == "finished"
    other = kls.run([*SMALL, "lam=0.1"])
    assert other.config["lam"] == 0.1
    assert len(list(Path("outputs").rglob("config.yaml"))) == 3 + 3  # Hydra's own among them


@pytest.mark.usefixtures("_no_report")
def test_sweeps_by_call_are_those_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("line", "call"):
        (tmp_path / name).mkdir()
    expected = swept(tmp_path / "line", *GRID)
    monkeypatch.chdir(tmp_path / "call")
    table = kls.run_sweep([*TINY, ALONE, FOLDER, *GRID])
    folder = Path(table.attrs["folder"])
    assert folder == tmp_path / "call" / "sweep"
    assert_same_sweep(folder, expected, [table["stage"][0]])
    assert table["lam"].tolist() == [0.1, 0.1, 0.2, 0.2]
    pd.testing.assert_frame_equal(table, kls.runs(folder))
    assert kls.load(table["path"][3]).metrics["val_accuracy"] == table["val_accuracy"][3]


@pytest.mark.usefixtures("_no_report")
def test_the_process_is_left_as_it_was(tmp_path: Path) -> None:
    mine, file = logging.getLogger("mine"), logging.FileHandler(tmp_path / "mine.log", mode="w")
    named = logging.StreamHandler()
    named.name = "my handler"
    mine.addHandler(file)
    logging.getLogger().addHandler(named)
    try:
        kls.run([*SMALL])  # which imports what was not
        before = state()
        kls.run([*SMALL])
        kls.run_sweep([*TINY, ALONE, "lam=choice(0.1)"])
        with pytest.raises(kls.UserError):
            kls.run([*SMALL, "lam=-1"])
        after = state()
        assert {key: value for key, value in after.items() if value != before[key]} == {}
        assert vars(logging)["_handlers"]["my handler"] is named
        mine.error("still written")
        assert (tmp_path / "mine.log").read_text() == "still written\n"
    finally:
        mine.removeHandler(file)
        logging.getLogger().removeHandler(named)
        file.close()


def test_the_first_call_of_a_process_leaves_it_too(tmp_path: Path) -> None:
    code = (
        "import logging, os, sys, kls\n"
        "def state(): return logging.raiseExceptions, logging.root.handlers[:], sys.argv, {**os.environ}\n"
        "before = state()\n"
        "try: kls.run(['lam=-1'])\n"
        "except kls.UserError as error: print(error, state() == before)"
    )
    assert python(tmp_path, "-c", code).out == "lam=-1: must be greater than or equal to 0 True\n"


def test_a_hydra_application_may_call_it(finished_run: Path) -> None:
    import hydra

    with hydra.initialize_config_dir(str(Path.cwd())):
        before = GlobalHydra.instance().hydra
        assert before is not None
        run = kls.run([*SMALL])
        assert GlobalHydra.instance().hydra is before
    assert_same_run(run.folder, finished_run)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["lam=-1"], "lam=-1: must be greater than or equal to 0"),
        (["model=4layer"], "model=4layer: there is no such choice; there are "),
        (["nothing=1"], "nothing: there is no such setting"),
        (["--multirun"], "--multirun: must be a setting or a choice, such as lam=1e-3; config_dir= names a folder"),
        ([3], "3: must be a setting or a choice"),
        (["resume=none"], "/none: no run to go on with there, it has no config.yaml"),
    ],
)
def test_mistakes_are_told_in_one_line(overrides: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(kls.UserError) as caught:
        kls.run(overrides)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_one_override_alone_and_a_folder_of_choices(tmp_path: Path) -> None:
    with pytest.raises(kls.UserError, match=r"^lam=-1: "):
        kls.run("lam=-1")
    (tmp_path / "own" / "model").mkdir(parents=True)
    text = "# @package model\ndefaults:\n  - _base\n  - _self_\nhidden: [3]\n"
    (tmp_path / "own" / "model" / "tiny.yaml").write_text(text)
    run = kls.run([*(o for o in SMALL if not o.startswith("model")), "model=tiny"], config_dir=tmp_path / "own")
    assert config_of(run.folder)["model"]["hidden"] == [3]


def test_dry_runs_make_nothing(tmp_path: Path) -> None:
    assert kls.run_sweep([*TINY, ALONE, "lam=choice(0.1,0.2)", "dry_run=true"]).empty
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_checkpoints_and_the_run_goes_on(finished_run: Path) -> None:
    with (
        at_step(17, lambda _: os.kill(os.getpid(), signal.SIGINT)),
        pytest.raises(KeyboardInterrupt),
    ):
        kls.run([*SMALL])
    (folder,) = [path.parent for path in Path("outputs").rglob(names.LAST)]
    assert (metrics_of(folder)["status"], metrics_of(folder)["steps"]) == ("interrupted", 17)
    run = kls.run([f"resume={folder}"])
    assert (run.folder, run.metrics["steps"]) == (folder.absolute(), STEPS)
    assert_same_run(folder, finished_run)


def test_in_a_thread(finished_run: Path) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(kls.run([*SMALL])))
    thread.start()
    thread.join()
    assert_same_run(found[0].folder, finished_run)


class Notebook:
    """What IPython tells of a notebook's kernel."""

    config = ("IPKernelApp",)

    @classmethod
    def get_ipython(cls) -> type[Notebook]:
        return cls


def test_notebooks_have_a_bar_and_pipes_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    class Bar(progress.tqdm):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options | {"file": io.StringIO()})
            made.append(options)

    assert progress.progress_bar(total=3).disable
    monkeypatch.setitem(sys.modules, "IPython", Notebook)  # type: ignore[arg-type]
    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    with progress.Progress(True) as shown:
        shown.update(2, 5, 0.25)
    with progress.Progress(False) as hidden:
        hidden.update(2, 5, 0.25)
    expected = {"total": 5, "initial": 2, "unit": "step"}
    assert made == [expected | {"disable": False}, expected | {"disable": True}]


def test_the_table_of_runs_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path / "outputs" / "a", 0.5, model="3layer_bn", lam=1e-3)
    make_run(tmp_path / "outputs" / "b", 0.25, model="3layer", lam=0, data__n_train=1000)
    make_run(tmp_path / "outputs" / "c", None, status=names.FAILED, message="no")
    (tmp_path / "outputs" / "d").mkdir()
    (tmp_path / "outputs" / "d" / names.METRICS).write_text("{")
    with pytest.warns(UserWarning, match=r"^skipped: outputs/d/metrics\.json: not valid JSON") as caught:
        table = kls.runs()
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert table["folder"].tolist() == ["a", "b", "c"]
    assert table["path"].tolist() == ["outputs/a", "outputs/b", "outputs/c"]
    assert table["val_accuracy"].dtype == np.float64
    assert table["val_accuracy"].tolist()[:2] == [0.5, 0.25]
    assert np.isnan(table["val_accuracy"][2])
    kinds = {name: str(table[name].dtype) for name in ("lam", "data.n_train", "model.bn.enabled", "status", "sweep")}
    assert kinds == {
        "lam": "float64", "data.n_train": "Int64", "model.bn.enabled": "bool", "status": "str", "sweep": "object",
    }  # fmt: skip
    assert str(tables._typed(pd.Series([True, None], dtype=object)).dtype) == "boolean"
    assert tables._typed(pd.Series([0.5, "[0.5, 0]", None], dtype=object)).tolist() == [0.5, "[0.5, 0]", None]
    whole = kls.runs(tmp_path / "outputs" / "a", tmp_path / "outputs" / "b")
    assert [str(whole[name].dtype) for name in ("seed", "model.bn.enabled", "batch_size")] == ["int64", "bool", "int64"]
    with pytest.raises(kls.UserError, match=r"none: there is no such folder$"):
        kls.runs("none")


def test_the_table_has_the_rows_of_runs_csv(finished_run: Path, tmp_path: Path) -> None:
    trained(tmp_path / "more", *SMALL, "lam=0.1")
    paths = [str(finished_run), str(tmp_path / "more")]
    assert aggregate_in(tmp_path, *paths, "--out", "tables").status == 0
    rows, table = read_csv(tmp_path / "tables" / names.RUNS_TABLE), kls.runs(*paths)
    assert [row["folder"] for row in rows] == table["folder"].tolist()
    for name in ("val_accuracy", "test_loss", "lam", "steps"):
        assert [float(row[name]) for row in rows] == table[name].astype(float).tolist()
    assert set(rows[0]) <= set(table.columns)
