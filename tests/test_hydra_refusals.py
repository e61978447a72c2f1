"""What is refused before Hydra instantiates, makes or writes anything: other sweepers, targets, files that run code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from entry_points import SMALL, gradcheck_in, mistake, train_in

STAGED = (
    "sweeps are run by hydra/sweeper=staged, the default, which takes lists on the command line as a grid, "
    "and the searches of sweeps/"
)
LAUNCHER = "must be hydra/launcher=population, joblib or basic, or that of submitit or ray where it is installed"
NOTHING_ELSE = "this project calls nothing that its settings name"
SEARCHPATH = "folders of settings are given by --config-dir alone"
REFUSED = {
    "hydra/sweeper=optuna": f"hydra/sweeper=optuna: {STAGED}",
    "hydra/sweeper=basic": f"hydra/sweeper=basic: {STAGED}",
    "hydra.sweeper._target_=os.system": f"hydra.sweeper._target_=os.system: {STAGED}",
    "hydra.launcher._target_=os.system": f"hydra.launcher._target_=os.system: {LAUNCHER}",
    "hydra.launcher._target_=${name}": "hydra.launcher._target_=${name}: " + LAUNCHER,
    "+hydra.launcher._args_=[1]": f"hydra.launcher._args_: {NOTHING_ELSE}",
    "+hydra.launcher._partial_=true": f"hydra.launcher._partial_: {NOTHING_ELSE}",
    "+hydra.launcher.x={_target_: pay.run}": f"hydra.launcher.x._target_: {NOTHING_ELSE}",
    "+hydra.callbacks.x._target_=pay.run": f"hydra.callbacks.x._target_: {NOTHING_ELSE}",
    "+hydra.callbacks.x._target_=${name}": f"hydra.callbacks.x._target_: {NOTHING_ELSE}",
    "hydra.searchpath=[pkg://pay]": f"hydra.searchpath=[pkg://pay]: {SEARCHPATH}",
    "hydra[searchpath]=[pkg://pay]": f"hydra[searchpath]=[pkg://pay]: {SEARCHPATH}",
    "--config-path=/tmp": "--config-path: your own settings are added to this project's by --config-dir DIR",
    "--experimental-rerun=.": "--experimental-rerun: go on with a run by resume=FOLDER",
    "--frobnicate": "unrecognized arguments: --frobnicate; --help shows what can be given",
}
FILES = {
    "--config-name=callback": (
        "defaults: [train, _self_]\nhydra: {callbacks: {x: {_target_: pay.run}}}\n",
        f"hydra.callbacks.x._target_: {NOTHING_ELSE}",
    ),
    "--config-name=path": (
        "defaults: [train, _self_]\nhydra: {searchpath: ['pkg://pay']}\n", f"FILE: hydra.searchpath: {SEARCHPATH}",
    ),
    "--config-name=log": (
        "defaults: [train, _self_]\nhydra: {hydra_logging: {handlers: {console: {(): pay.run}}}}\n",
        "the command line cannot be understood: Unable to configure handler 'console'",
    ),
    "--config-name=joblog": (
        "defaults: [train, _self_]\nhydra: {job_logging: {handlers: {console: {(): pay.run}}}}\n",
        f"hydra.job_logging.handlers.console.(): {NOTHING_ELSE}",
    ),
    "hydra/launcher=mine": ("_target_: pay.run\n", f"hydra/launcher=mine: {LAUNCHER}"),
    "model=tag": ("hidden: !!python/object/apply:pay.run []\n", "FILE: not valid YAML (line 1, column 9: could not d"),
    "model=broken": ("hidden: [1,\n a: b\n", "FILE: not valid YAML (line "),
    "model=deep": ("hidden: " + "[" * 3000, "FILE: not valid YAML ("),
    "model=list": ("- 1\n", "FILE: holds no settings"),
    "model=bomb": (
        "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n", "FILE: not valid YAML (",
    ),
    "model=binary": ("\udcff\udcfe", "FILE: not a text in UTF-8 (invalid start byte at byte 0)"),
    "model=header": ("# @package\n", "FILE: Expected header format: KEY VALUE, got '@package'"),
    "sweeps=tag": (
        "# @package _global_\nhydra: !!python/name:os.system ''\n", "FILE: not valid YAML (line 2, column 8: could not",
    ),
}  # fmt: skip


@pytest.fixture
def payload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which pay.run can be imported; that it ran is seen by a file "ran" in it."""
    (tmp_path / "pay").mkdir()
    code = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\ndef run(*args, **kwargs): pass\n"
    (tmp_path / "pay/__init__.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pay", raising=False)
    return tmp_path


@pytest.mark.parametrize("mode", [(), ("--multirun", "sweeps=smoke")], ids=["run", "sweep"])
@pytest.mark.parametrize("argument", REFUSED)
def test_arguments(argument: str, mode: tuple[str, ...], payload: Path, cifar_root: Path) -> None:
    before = sorted(payload.rglob("*"))
    assert mistake(train_in(payload, *SMALL[:5], *mode, argument)) == REFUSED[argument]
    assert sorted(payload.rglob("*")) == before


@pytest.mark.parametrize("argument", FILES)
def test_files_of_a_users_folder(argument: str, payload: Path) -> None:
    text, expected = FILES[argument]
    group, name = argument.removeprefix("--").split("=")
    file = payload / "own" / ("" if group == "config-name" else group) / f"{name}.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    before = sorted(payload.rglob("*"))
    line = mistake(train_in(payload, "--config-dir", str(payload / "own"), argument))
    assert line.startswith(expected.replace("FILE", str(file)))
    assert len(line) < 1200
    assert sorted(payload.rglob("*")) == before


def test_a_sweep_without_multirun_is_told_the_right_command(tmp_path: Path) -> None:
    line = "sweeps=smoke: a sweep is run with --multirun: python -m kls.train --multirun sweeps=smoke 'name=a b'"
    assert mistake(train_in(tmp_path, "sweeps=smoke", "name=a b")) == line
    assert mistake(gradcheck_in(tmp_path, "sweeps=smoke", "name=a b")) == line
    assert list(tmp_path.iterdir()) == []


def test_gradient_checks_neither_sweep_nor_go_on(tmp_path: Path) -> None:
    told = "--multirun: a gradient check is of one network; run it once for each"
    assert mistake(gradcheck_in(tmp_path, "--multirun", "seed=1,2")) == told
    assert mistake(gradcheck_in(tmp_path, "resume=x")) == "resume=x: a gradient check is made anew"
    assert list(tmp_path.iterdir()) == []


def test_folders_and_names_of_configurations_that_are_not_there(tmp_path: Path) -> None:
    line = mistake(train_in(tmp_path, "--config-dir", "nowhere"))
    assert line == "--config-dir nowhere: there is no such folder"
    assert mistake(train_in(tmp_path, "--config-name", "nonsense")).startswith("Cannot find primary config 'nonsense'.")
    assert mistake(train_in(tmp_path, "--config-name", "study/questions")).startswith("Cannot find primary config")
