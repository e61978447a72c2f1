"""A user's own models, sweeps, experiments and studies in the folder of --config-dir, and mistakes with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from entry_points import DATA, Outcome, call, gradcheck_in, metrics_of, mistake, run_folders, train_in
from small_sweeps import ALONE, TINY, job_folders, record_of, refused, sweep_in

from kls.config.own_configs import places
from kls.config.project import project_root
from kls.errors import UserError
from kls.study import __main__ as study
from kls.study.plan import Task, find, plan
from kls.study.record import take_up

CONF = project_root() / "conf"
OWN = {
    "model/mine.yaml": "# Mine\ndefaults: [3layer_bn, _self_]\nhidden: [7, 5]\n",
    "model/likewise.yaml": "defaults:\n  - mine\n  - _self_\ndropout: 0.1\n",
    "optimizer/slow.yaml": "defaults: [_sgd, {schedule: constant}, _self_]\nschedule: {eta: 0.001, epochs: 1}\n",
    "sweeps/ours.yaml": "# @package _global_\nname: ours\nhydra:\n  sweeper:\n    stages:\n"
    "      - {name: both, sampler: grid, params: {model: {values: [mine, 3layer]}}}\n",
    "experiment/dropped.yaml": "# @package _global_\ndefaults:\n  - override /model: mine\nlam: 0.02\n",
    "study/question.yaml": json.dumps({"title": "Mine", "asked": "?", "steps": [
        {"name": "grid", "what": "models", "folder": "grid", "sweep": "ours", "overrides": [*TINY, ALONE]},
        {"name": "check", "what": "gradients", "folder": "check",
         "gradients": {"mine": [*DATA, "model=mine", "gradcheck.dimensions=5"]}},
    ]}),
}  # fmt: skip
NO_HEADER = "its first line must be '# @package _global_', since it sets more than one group"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with OWN in own/."""
    for name, text in OWN.items():
        write(tmp_path, f"own/{name}", text)
    return tmp_path


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def study_in(cwd: Path, *arguments: str) -> Outcome:
    return call(study.main, arguments, cwd)


@pytest.mark.parametrize(
    ("arguments", "hidden", "name"),
    [
        (["model=mine"], [7, 5], "mine"),
        (["model=likewise"], [7, 5], "likewise"),
        (["model=mine", "model.hidden=[6]"], [6], "2-layer [6] with BN"),
        (["model=mine", "model.hidden=[50,50]"], [50, 50], "3layer_bn"),
        (["+experiment=dropped"], [7, 5], "mine"),
        (["+experiment=dropped", "model=3layer"], [50, 50], "3layer"),
    ],
)
def test_a_run_is_called_by_its_own_file(
    arguments: list[str], hidden: list[int], name: str, cifar_root: Path, folder: Path
) -> None:
    outcome = train_in(folder, *TINY, "--config-dir", "own", *arguments)
    assert (outcome.status, outcome.err) == (0, "")
    (run,) = run_folders(folder)
    metrics = metrics_of(run)
    assert (metrics["model"], metrics["settings"]["model.hidden"]) == (name, hidden)
    assert metrics["settings"]["lam"] == (0.02 if "+experiment=dropped" in arguments else 0.005)


def test_a_run_that_goes_on_keeps_the_name(cifar_root: Path, folder: Path) -> None:
    assert train_in(folder, *TINY, "--config-dir=own", "model=mine").status == 0
    (run,) = run_folders(folder)
    metrics = json.loads((run / "metrics.json").read_text())
    del metrics["checksum"]
    (run / "metrics.json").write_text(json.dumps(metrics | {"status": "interrupted"}))
    outcome = train_in(folder, f"resume={run}")
    assert (outcome.status, outcome.err) == (0, "")
    assert (metrics_of(run)["model"], metrics_of(run)["status"]) == ("mine", "finished")


def test_an_own_optimizer(cifar_root: Path, folder: Path) -> None:
    shown = train_in(folder, "--config-dir", "own", "optimizer=slow", "--cfg", "job")
    assert "eta: 0.001" in shown.out
    assert gradcheck_in(folder, *DATA, "--config-dir", "own", "model=mine", "gradcheck.dimensions=5").status == 0


@pytest.mark.parametrize("launcher", ["population", "basic"])
def test_an_own_sweep_of_an_own_model(launcher: str, cifar_root: Path, folder: Path) -> None:
    where = ("--config-dir", "own", "hydra.sweep.dir=sweep")
    alone = (ALONE,) if launcher == "population" else ()
    outcome = sweep_in(folder, *TINY, *alone, f"hydra/launcher={launcher}", *where, "sweeps=ours")
    assert (outcome.status, outcome.err) == (0, "")
    assert [metrics_of(job)["model"] for job in job_folders(folder / "sweep", "both")] == ["mine", "3layer"]
    assert record_of(folder / "sweep")["config_dir"] == str(folder / "own")
    again = mistake(sweep_in(folder, "resume=sweep"))
    assert again == f"{folder}/sweep: the sweep was begun with --config-dir {folder}/own; give it again"
    assert sweep_in(folder, "resume=sweep", "--config-dir", "own").status == 0


@pytest.mark.slow
def test_an_own_study_with_an_own_sweep(cifar_root: Path, folder: Path) -> None:
    asked = ("own/study/question.yaml", "--out", "out")
    planned = study_in(folder, *asked, "--dry-run").out
    assert [line.split()[2:5] for line in planned.splitlines() if "python" in line] == [
        ["kls.train", "--multirun", "--config-dir=own"], ["kls.gradcheck", "--config-dir=own", "data=cifar10"],
    ]  # fmt: skip
    assert study_in(folder, "question", "--config-dir", "own", "--out", "out", "--dry-run").out == planned
    outcome = study_in(folder, *asked)
    assert (outcome.status, outcome.err) == (0, "")
    assert metrics_of(folder / "out/steps/grid/both/0")["model"] == "mine"
    page = (folder / "out/question/report.md").read_text()
    assert "python -m kls.train --multirun --config-dir=own sweeps=ours" in page.replace("\\", "")


def test_a_step_is_not_done_by_another_own_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    own = Path("own")

    def tasks() -> list[Task]:
        return list(plan(find("question", own), Path("out"), [], False, own).values())

    for task in tasks():
        task.folder.mkdir(parents=True)
        take_up(task).model_copy(update={"ended": True}).write(task.folder)
    write(folder, "own/model/unused.yaml", OWN["model/likewise.yaml"])
    assert [take_up(task).ended for task in tasks()] == [True, True]
    write(folder, "own/model/mine.yaml", OWN["model/mine.yaml"].replace("7", "8"))
    for task in tasks():
        with pytest.raises(UserError, match=r"^it was run before by another definition; remove out/steps/"):
            take_up(task)


def test_a_sweep_of_an_experiment_goes_on(cifar_root: Path, folder: Path) -> None:
    asked = (*TINY, ALONE, "hydra.sweep.dir=sweep", "--config-dir", "own", "+experiment=dropped", "seed=0,1")
    assert sweep_in(folder, *asked).status == 0
    assert {metrics_of(job)["model"] for job in job_folders(folder / "sweep", "grid")} == {"mine"}
    assert record_of(folder / "sweep")["overrides"][-2:] == ["+experiment=dropped", "seed=0,1"]
    assert sweep_in(folder, "resume=sweep", "--config-dir", "own").status == 0


def test_a_study_beside_others_is_no_own_folder(folder: Path) -> None:
    moved = write(folder, "mine.yaml", OWN["study/question.yaml"])
    line = mistake(study_in(folder, "mine.yaml", "--dry-run"))
    assert line.startswith("sweep=ours: there is no such sweep; there are best_lam_by_data, ")
    assert study_in(folder, str(moved), "--config-dir", "own", "--dry-run").status == 0
    assert "question" in study_in(folder, "--list", "--config-dir", "own").out


MISTAKES = {
    "no folder": ({}, "no", "model=x", "--config-dir no: there is no such folder"),
    "a file": ({"a": ""}, "a", "model=x", "--config-dir a: is not a folder"),
    "shadow": (
        {"own/model/9layer.yaml": "defaults: [_base]\nhidden: [3]\n"}, "own", "model=9layer",
        "own/model/9layer.yaml: this project has a model/9layer.yaml already, and takes that; give yours another name",
    ),
    "not there": (
        {"own/a": ""}, "own", "model=x",
        f"model=x: there is no such choice; there are MODELS; searched: {CONF}/model; own/model/x.yaml is model=x",
    ),
    "no experiment": (
        {"own/a": ""}, "own", "+experiment=x",
        "+experiment=x: there is no such choice; there are none; searched: no folder; "
        "own/experiment/x.yaml is +experiment=x",
    ),
    "at the top": (
        {"own/x.yaml": "hidden: [1]\n"}, "own", "model=x",
        f"model=x: there is no such choice; there are MODELS; searched: {CONF}/model; "
        "own/x.yaml is there: it must be own/model/x.yaml",
    ),
    "plural": (
        {"own/models/x.yaml": "hidden: [1]\n"}, "own", "model=x",
        f"model=x: there is no such choice; there are MODELS; searched: {CONF}/model; "
        "own/models/x.yaml is there: it must be own/model/x.yaml",
    ),
    "yml": (
        {"own/model/x.yml": "hidden: [1]\n"}, "own", "model=x",
        f"model=x: there is no such choice; there are MODELS; searched: {CONF}/model and own/model; "
        "own/model/x.yml is there: it must be own/model/x.yaml",
    ),
    "a level too high": (
        {"own/conf/model/x.yaml": "hidden: [1]\n"}, "own", "model=x",
        f"model=x: there is no such choice; there are MODELS; searched: {CONF}/model; "
        "own/conf/model/x.yaml is there: give --config-dir own/conf",
    ),
    "itself": (
        {"own/model/x.yaml": "defaults: [x, _self_]\nhidden: [1]\n"}, "own", "model=x",
        "own/model/x.yaml: its defaults name itself; give it another name",
    ),
    "no base": (
        {"own/model/x.yaml": "hidden: [1]\n"}, "own", "model=x",
        "own/model/x.yaml: has no bn, dropout, init, label_smoothing; begin it with 'defaults: [_base, _self_]', as "
        f"{CONF}/model/3layer.yaml does",
    ),
    "no base of several": (
        {"own/optimizer/x.yaml": "schedule: {kind: constant}\n"}, "own", "optimizer=x",
        f"own/optimizer/x.yaml: has no kind, momentum; begin it with a list of defaults, as {CONF}/optimizer/"
        "adam_constant.yaml does",
    ),
    "the group again": (
        {"own/model/x.yaml": "defaults: [_base, _self_]\nmodel:\n  hidden: [1]\n"}, "own", "model=x",
        "own/model/x.yaml: what stands there is of model already; leave out the line 'model:' and its indent",
    ),
    "no header": (
        {"own/experiment/x.yaml": "lam: 0.1\n"}, "own", "+experiment=x",
        f"own/experiment/x.yaml: {NO_HEADER}",
    ),
    "header below a comment": (
        {"own/experiment/x.yaml": "# Mine\n# @package _global_\nlam: 0.1\n"}, "own", "+experiment=x",
        f"own/experiment/x.yaml: {NO_HEADER}",
    ),
    "indent": (
        {"own/model/x.yaml": "defaults: [_base, _self_]\nhidden: [1]\n bn: {enabled: true}\n"}, "own", "model=x",
        "own/model/x.yaml: not valid YAML (line 3, column ",
    ),
    "indent of a list": (
        {"own/model/x.yaml": "defaults:\n- _base\n - _self_\nhidden: [1]\n"}, "own", "model=x",
        "model/x: its defaults name model=_base - _self_: there is no such choice; there are ",
    ),
    "a setting of another group": (
        {"own/experiment/x.yaml": "# @package _global_\nhidden: [1]\n"}, "own", "+experiment=x",
        "hidden: there is no such setting; did you mean model.hidden?; see conf/ for those there are",
    ),
    "misspelt": (
        {"own/model/x.yaml": "defaults: [_base, _self_]\nhiden: [1]\n"}, "own", "model=x",
        "model.hiden: there is no such setting; did you mean model.hidden?; see conf/ for those there are",
    ),
    "no plus": (
        {"own/experiment/x.yaml": "# @package _global_\nlam: 0.1\n"}, "own", "experiment=x",
        "Could not override 'experiment'.",
    ),
}  # fmt: skip
MODELS = ", ".join(sorted(path.stem for path in (CONF / "model").glob("[!_]*.yaml")))


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes(what: str, tmp_path: Path) -> None:
    files, own, argument, expected = MISTAKES[what]
    for name, text in files.items():
        write(tmp_path, name, text)
    before = sorted(tmp_path.rglob("*"))
    lines = [mistake(train_in(tmp_path, "--config-dir", own, argument))]
    if what in ("yml", "no base", "no header", "misspelt"):  # of each kind one
        lines.append(mistake(gradcheck_in(tmp_path, "--config-dir", own, argument)))
        lines.append(refused(tmp_path, "--config-dir", own, argument, "seed=1,2"))
    for line in lines:
        told = line.replace(f"{tmp_path}/", "").removeprefix("stage grid: ")
        assert told.startswith(expected.replace("MODELS", MODELS))
        assert len(told) < 800
    assert sorted(tmp_path.rglob("*")) == before


def test_choices_without_a_folder_of_ones_own(tmp_path: Path) -> None:
    begin = f"model=x: there is no such choice; there are {MODELS}; searched: {CONF}/model; "
    assert mistake(train_in(tmp_path, "model=x")) == f"{begin}--config-dir FOLDER: FOLDER/model/x.yaml is model=x"
    write(tmp_path, "model/x.yaml", "hidden: [1]\n")
    assert mistake(train_in(tmp_path, "model=x")) == f"{begin}model/x.yaml is there: give --config-dir ."
    (tmp_path / "model").rename(tmp_path / "models")
    write(tmp_path, "mine/model/x.yaml", "hidden: [1]\n")
    assert mistake(train_in(tmp_path, "model=x")).endswith("mine/model/x.yaml is there: give --config-dir mine")
    (tmp_path / "mine/model/x.yaml").unlink()
    (tmp_path / "models/x.yaml").rename(tmp_path / "x.yml")
    told = mistake(train_in(tmp_path, "model=x"))
    assert told == f"{begin}x.yml is there: it must be FOLDER/model/x.yaml, with --config-dir FOLDER"


def test_mistakes_with_sweeps(tmp_path: Path) -> None:
    write(tmp_path, "own/sweeps/bare.yaml", "name: bare\n")
    line = refused(tmp_path, "--config-dir", "own", "sweeps=bare")
    assert line.endswith(f"own/sweeps/bare.yaml: {NO_HEADER}")
    write(tmp_path, "own/sweeps/flat.yaml", "# @package _global_\nstages:\n  - {name: a, sampler: grid}\n")
    line = refused(tmp_path, "--config-dir", "own", "sweeps=flat")
    assert line.removeprefix("stage grid: ").startswith("stages: there is no such setting")
    line = refused(tmp_path, "--config-dir", "own", "sweeps=none")
    assert line.endswith(f"searched: {places('sweeps')[0]} and own/sweeps; own/sweeps/none.yaml is sweeps=none")


def test_mistakes_with_studies(tmp_path: Path) -> None:
    line = mistake(study_in(tmp_path, "mine", "--dry-run"))
    assert line.endswith(f"searched: {CONF}/study; --config-dir FOLDER: FOLDER/study/mine.yaml is the study mine")
    assert mistake(study_in(tmp_path, "mine", "--config-dir", "no")) == "--config-dir no: there is no such folder"
    steps = [{"name": "a", "what": "b", "folder": "a", "sweep": "ours"}]
    write(tmp_path, "own/study/mine.yaml", json.dumps({"title": "Mine", "asked": "?", "steps": steps}))
    line = mistake(study_in(tmp_path, "mine", "--config-dir", "own", "--dry-run"))
    assert line.endswith(f"searched: {places('sweeps')[0]}; own/sweeps/ours.yaml is sweeps=ours")
    write(tmp_path, "own/sweeps/ours.yaml", "stages: []\n")
    line = mistake(study_in(tmp_path, "mine", "--config-dir", "own", "--dry-run"))
    assert line == f"own/sweeps/ours.yaml: {NO_HEADER}"
    write(tmp_path, "own/sweeps/ours.yaml", "# @package _global_\nstages: []\n")
    line = mistake(study_in(tmp_path, "mine", "--config-dir", "own", "--dry-run"))
    assert line == "own/sweeps/ours.yaml: holds no stages, which stand below hydra: sweeper: stages: ('hydra')"
