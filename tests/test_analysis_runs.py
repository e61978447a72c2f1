"""Which folders are taken for runs, what is read of them, and which are named as broken."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from made_up_runs import CONFIG, make_failed_start, make_run, make_sweep

from kls.analysis.runs import Runs, read_history, read_runs
from kls.config.flat_settings import EXECUTION, flatten
from kls.errors import UserError
from kls.records import names


def column(runs: Runs, *columns: str) -> list[Any]:
    rows = runs.frame[list(columns)].to_numpy().tolist()
    return [row[0] for row in rows] if len(columns) == 1 else [tuple(row) for row in rows]


def test_runs_are_found_at_any_depth_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("b/10", "b/9", "a/x/y/0", "b/9/inner"):
        make_run(tmp_path / name, model="3layer")
    (tmp_path / "empty").mkdir()
    make_run(tmp_path / ".trash" / "0")
    runs = read_runs([tmp_path])
    assert column(runs, "folder") == ["a/x/y/0", "b/9", "b/9/inner", "b/10"]
    assert runs.warnings == []


@pytest.mark.parametrize("older", [False, True])
def test_settings_metrics_and_model_of_a_run(tmp_path: Path, older: bool) -> None:
    make_run(tmp_path / "0", 0.53, model="9layer_bn", lam=1e-5, metrics={"note": [1, 2], "cpu": "x"}, older=older)
    runs = read_runs([tmp_path])
    row = runs.frame.loc[0]
    expected = flatten(CONFIG) | {"lam": 1e-5, "model.hidden": "[50, 30, 20, 20, 10, 10, 10, 10]"}
    assert runs.settings == [key for key in expected if key not in (*EXECUTION, "evaluation.test")]
    assert {key: row[key] for key in runs.settings} == {key: expected[key] for key in runs.settings}
    assert runs.scores == ["val_accuracy", "val_loss"]
    assert (row["val_accuracy"], row["note"], row["cpu"]) == (0.53, "[1, 2]", "x")  # a metric is a column by itself
    assert (row["folder"], row["path"], row["status"], row["model"]) == ("0", tmp_path / "0", "finished", "9layer_bn")
    assert (row["planned_epochs"], row["pictures_fingerprint"]) == (20.0, "00112233aabbccdd")


def test_older_and_newer_runs_of_the_same_settings_and_split_are_alike(tmp_path: Path) -> None:
    make_run(tmp_path / "0", seed=0)
    make_run(tmp_path / "1", seed=1, older=True)
    make_run(tmp_path / "2", seed=2, older=True, fingerprint="ff")
    runs = read_runs([tmp_path])
    assert runs.differing() == ["seed", "order_seed"]
    assert column(runs, "pictures_fingerprint") == ["00112233aabbccdd", "00112233aabbccdd", "ff"]


def test_a_setting_that_came_later_has_its_default_in_runs_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kls.analysis.runs.defaults", lambda: {"optimizer.nesterov": False, "optimizer.other": 1})
    make_run(tmp_path / "0", seed=0)
    make_run(tmp_path / "1", seed=1, optimizer__nesterov=False)
    make_run(tmp_path / "2", seed=2, optimizer__nesterov=True)
    make_failed_start(tmp_path / "3", "no data")
    runs = read_runs([tmp_path])
    assert runs.differing() == ["seed", "order_seed", "optimizer.nesterov"]
    assert column(runs, "optimizer.nesterov") == [False, False, True, None]


def test_an_older_run_with_settings_of_another_version_is_read(tmp_path: Path) -> None:
    make_run(tmp_path / "0", older=True, lam="of another version", model__hidden=[30])
    make_run(tmp_path / "1", older=True, model__hidden="of another version")
    assert column(read_runs([tmp_path]), "lam", "model.hidden", "model") == [
        ("of another version", "[30]", "2-layer [30] with BN"), (0.005, "of another version", None),
    ]  # fmt: skip


def test_a_diverged_run_counts_as_a_guess(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.1, test=0.1, status="diverged", older=True)
    make_run(tmp_path / "1", 0.25, test=0.25, status="diverged", older=True, metrics={"classes": 4})
    losses = column(read_runs([tmp_path]), "val_loss", "test_loss")
    assert losses == [(math.log(10), math.log(10)), (math.log(4), math.log(4))]


def test_runs_of_a_sweep_have_stage_and_trial(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path / "study" / "s", [{"name": "coarse"}], metric="test_accuracy", status="running")
    make_run(sweep / "coarse" / "3")
    make_run(tmp_path / "study" / "single")
    runs = read_runs([tmp_path / "study"])
    assert column(runs, "folder", "sweep", "stage", "trial") == [
        ("s/coarse/3", "s", "coarse", 3), ("single", None, None, None),
    ]  # fmt: skip
    assert (runs.sweeps["s"].metric, runs.sweeps["s"].status) == ("test_accuracy", "running")
    alone = runs.chosen(runs.frame["sweep"].isna())
    assert (len(alone.frame), alone.sweeps) == (1, {})


@pytest.mark.parametrize(("path", "folder"), [("s", "coarse/3"), ("s/coarse", "3"), ("s/coarse/3", "3")])
def test_a_path_inside_a_sweep_knows_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, folder: str
) -> None:
    make_sweep(tmp_path / "s", [{"name": "coarse"}])
    make_run(tmp_path / "s" / "coarse" / "3")
    monkeypatch.chdir(tmp_path / path)
    assert column(read_runs([Path()]), "folder", "sweep", "stage", "trial") == [(folder, "s", "coarse", 3)]


def test_sweeps_of_one_name_in_two_paths_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("a", "b"):
        make_sweep(tmp_path / path / "s", [{"name": f"stage_{path}"}])
        make_run(tmp_path / path / "s" / f"stage_{path}" / "0")
    monkeypatch.chdir(tmp_path)
    runs = read_runs([Path("a"), Path("b/s/stage_b")])
    stages = dict(column(runs, "sweep", "stage"))
    assert stages == {"a/s": "stage_a", (tmp_path / "b" / "s").as_posix(): "stage_b"}
    assert {name: sweep.stages[0].name for name, sweep in runs.sweeps.items()} == stages


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "not valid JSON"),
        ('{"stages": [{"trials": 3}]}', "stages.0.name: Field required"),
        ("[1]", "holds no JSON object"),
    ],
)
def test_a_damaged_sweep_is_named_and_its_runs_are_read(tmp_path: Path, content: str, why: str) -> None:
    make_run(tmp_path / "coarse" / "0")
    make_run(tmp_path / "coarse" / "1")
    (tmp_path / "sweep.json").write_text(content)
    runs = read_runs([tmp_path])
    assert column(runs, "stage") == ["coarse", "coarse"]
    (warning,) = runs.warnings
    assert why in warning
    assert "\n" not in warning


def test_several_paths_give_each_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path / "a" / "0")
    make_run(tmp_path / "b" / "0")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    runs = read_runs([Path("a"), Path("b/0"), Path(), Path("link"), tmp_path])
    assert column(runs, "folder") == ["a/0", "b/0"]


FINISHED = json.dumps({"status": "finished", "val_accuracy": 0.5})
NEW = {"schema": 1, "status": "finished", "val_accuracy": 0.5, "settings": {}}


@pytest.mark.parametrize(
    ("metrics", "config", "why"),
    [
        ('{"status": "fin', "lam: 1\n", "metrics.json: not valid JSON"),
        ("[1]", "lam: 1\n", "metrics.json: holds no JSON object"),
        (None, "lam: 1\n", "has no metrics.json; it has only just begun, or was stopped there"),
        ("{}", "lam: 1\n", "has no metrics.json; it has only just begun, or was stopped there"),
        ('{"status": "won"}', "lam: 1\n", "has the status 'won', which is none of finished, diverged, failed"),
        ('{"status": "finished"}', "lam: 1\n", "is finished, but metrics.json has no number as val_accuracy"),
        ('{"status": "finished", "val_accuracy": NaN}', "lam: 1\n", "val_accuracy=nan is not a share"),
        (FINISHED, None, "is finished, but has no config.yaml"),
        (FINISHED, "lam: [1\n", "config.yaml: not valid YAML"),
        (FINISHED, "", "config.yaml: holds no settings"),
        (FINISHED, "- 1\n- 2\n", "config.yaml: holds no settings"),
        (FINISHED, "lam: 2\n---\nlam: 3\n", "config.yaml: not valid YAML"),
        (json.dumps(NEW | {"schema": 2}), None, "was written by a newer kls (schema 2, this one reads 1)"),
        (json.dumps(NEW | {"schema": -1}), None, "schema=-1 is not a whole number"),
        (json.dumps(NEW | {"settings": None}), None, "has no settings; it was damaged"),
        (json.dumps(NEW | {"settings": [1]}), None, "has no settings; it was damaged"),
        (json.dumps(NEW | {"train_accuracy": 3.35}), None, "train_accuracy=3.35 is not a share from 0 to 1"),
        (json.dumps(NEW | {"best_val_accuracy": True}), None, "best_val_accuracy=True is not a share from 0 to 1"),
        (json.dumps(NEW | {"n_train": 1.5}), None, "n_train=1.5 is not a whole number from 0 on"),
        (json.dumps(NEW | {"planned_steps": 2**63 + 1}), None, "is not a whole number from 0 on"),
        (json.dumps(NEW | {"val_loss": "x"}), None, "val_loss='x' is not a number from 0 on"),
        (json.dumps(NEW | {"steps_per_second": -1.0}), None, "steps_per_second=-1.0 is not a number from 0 on"),
        (json.dumps(NEW | {"message": {"a": 1}}), None, "message={'a': 1} is not a text"),
        (json.dumps(NEW | {"axes_fingerprint": 7}), None, "axes_fingerprint=7 is not a text"),
    ],
)
def test_a_broken_run_is_named_in_one_line_and_skipped(
    tmp_path: Path, metrics: str | None, config: str | None, why: str
) -> None:
    make_run(tmp_path / "sound")
    folder = tmp_path / "broken"
    folder.mkdir()
    for name, text in ((names.METRICS, metrics), (names.CONFIG, config)):
        if text is not None:
            (folder / name).write_text(text)
    runs = read_runs([tmp_path])
    assert column(runs, "folder") == ["sound"]
    (warning,) = runs.warnings
    assert warning.startswith(f"skipped: {folder}")
    assert why in warning
    assert "\n" not in warning


def test_metrics_of_unknown_names_may_have_any_value(tmp_path: Path) -> None:
    make_run(tmp_path / "0", metrics={"speedup": -3.5, "sweep": "x", "huge": 10**400, "deep": {"a": [1]}})
    runs = read_runs([tmp_path])
    assert column(runs, "speedup", "sweep", "deep") == [(-3.5, None, "{'a': [1]}")]
    assert column(runs, "huge")[0].startswith("1000")


def test_a_run_that_failed_before_it_had_settings_has_those_of_its_command(tmp_path: Path) -> None:
    overrides = ["lam=0.001", "model=9layer", "model.hidden=[5,6]", "model.init.sigma=null", "seed=3"]
    make_failed_start(tmp_path / "0", "no data", overrides)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / names.METRICS).write_text('{"status": "failed"}')  # an older one
    runs = read_runs([tmp_path])
    keys = ("status", "model", "lam", "model.hidden", "seed", "model.init.sigma")
    assert column(runs, *keys) == [("failed", "9layer", 0.001, "[5, 6]", 3, None), ("failed", *[None] * 5)]


def test_paths_without_runs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, why in (("none", "there is no such folder"), ("file", "is not a folder"), ("", "no runs there")):
        with pytest.raises(UserError, match=why):
            read_runs([tmp_path / path])


def test_the_tidy_table_has_identity_differing_settings_and_all_metrics(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, model="3layer", model__init__sigma=0.1)
    make_run(tmp_path / "1", 0.1, model="9layer", status="diverged", message="lost")
    tidy = read_runs([tmp_path]).tidy()
    assert tidy.columns.tolist()[:8] == [
        "folder", "sweep", "stage", "trial", "status", "model", "model.hidden", "model.init.sigma",
    ]  # fmt: skip
    assert {"data", "data_fingerprint", "message", "layers", "val_accuracy", "val_loss"} <= set(tidy.columns)
    assert tidy[["folder", "status", "model", "model.init.sigma", "message"]].to_numpy().tolist() == [
        ["0", "finished", "3layer", 0.1, None],
        ["1", "diverged", "9layer", None, "lost"],
    ]
    assert "model" not in read_runs([tmp_path / "0"]).tidy()


def test_a_setting_named_as_another_column_is_left_out(tmp_path: Path) -> None:
    make_run(tmp_path / "0", **{"path": "x", "runs": 3, "val_accuracy": 0.9, "n_failed": 1})
    runs = read_runs([tmp_path])
    assert not {"path", "runs", "val_accuracy", "n_failed"} & set(runs.settings)
    assert column(runs, "path", "val_accuracy") == [(tmp_path / "0", 0.5)]


def test_a_history_is_read_and_checked(tmp_path: Path) -> None:
    run = make_run(tmp_path / "0", 0.5, history=2)
    history = read_history(run)
    assert history.columns.tolist() == list(names.HISTORY_COLUMNS)
    assert history["val_accuracy"].tolist() == pytest.approx([0.1, 0.3, 0.5])
    assert history[["step", "epoch"]].to_numpy().tolist() == [[0, 0], [450, 1], [900, 2]]
    text = (run / names.HISTORY).read_text()
    for old, new, why in (("0.3", "3.1", "no share"), ("450", "0", "do not follow"), ("1.0,", "nan,", "do not follow")):
        (run / names.HISTORY).write_text(text.replace(old, new))
        with pytest.raises(UserError, match=why):
            read_history(run)
    (run / names.HISTORY).write_text(text.splitlines()[0])
    with pytest.raises(UserError, match="its history is empty"):
        read_history(run)
    with pytest.raises(UserError, match="cannot be read as a history"):
        read_history(tmp_path)
