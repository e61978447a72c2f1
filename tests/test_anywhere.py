"""The commands work alike from a clone with .venv inside, from a wheel's folder, and in folders of any name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from entry_points import SMALL, call, gradcheck_in, metrics_of, mistake, train_in
from small_sweeps import ALONE, TINY, assert_same_sweep, sweep_in, swept

from kls.config.project import project_root
from kls.config.resume import quoted
from kls.study import __main__ as study

pytestmark = pytest.mark.slow

NAME = "a b'c\"d=e,f é目(x)[y]"
SHOWING = (
    ("--help",),
    ("--hydra-help",),
    ("--info",),
    ("--cfg", "job"),
    ("-sc", "install=bash"),
    ("-sc", "query=bash"),
)
STRANGERS = (".venv/lib/python3/site-packages/x/conf/config.yml", ".git/config.yaml", "plots/a.yaml", "x/plots/b.yaml")


def laid_out(root: Path, as_wheel: bool) -> Path:
    """A copy of the project in ``root``: a clone with an environment inside, or what a wheel installs."""
    package = shutil.copytree(project_root() / "kls", root / "kls", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("conf", "sweeps"):
        shutil.copytree(project_root() / name, (package if as_wheel else root) / name)
    for name in STRANGERS:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("- not: [settings")
    return root


def run(root: Path, cwd: Path, *arguments: str) -> tuple[int, str, str]:
    """A command of the copy in ``root``, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(root), "COMP_LINE": "kls-train plo"}
    command = [sys.executable, "-m", *arguments]
    ended = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("as_wheel", [False, True], ids=["clone", "wheel"])
def test_a_clone_and_a_wheel(as_wheel: bool, cifar_root: Path, tmp_path: Path) -> None:
    root = laid_out(tmp_path / "root", as_wheel)
    cwd = root if not as_wheel else tmp_path
    shown = [run(root, cwd, "kls.train", *flags) for flags in SHOWING]
    assert [(status, err) for status, _, err in shown] == [(0, "")] * len(SHOWING)
    helped, completed = shown[0][1], shown[-1][1]
    assert f"explained in {root / 'kls' if as_wheel else root}/conf/train.yaml" in helped
    assert not {"plots", "tests", ".venv"} & set(helped.split())
    assert completed.split() == ["plots="]
    sweep = ("--multirun", *TINY, "sweeps=seeds", "dry_run=true")
    status, out, err = run(root, tmp_path, "kls.train", *sweep)
    assert (status, err) == (0, "")
    assert "nothing was run" in out
    assert run(root, tmp_path, "kls.study", "--list")[0] == 0


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    folder = tmp_path / NAME
    folder.mkdir()
    return folder


def test_a_run_in_a_folder_of_any_name(cifar_root: Path, strange: Path) -> None:
    assert train_in(strange, *SMALL, f"hydra.run.dir={quoted(strange / 'X')}", "plots=true").status == 0
    assert metrics_of(strange / "X")["status"] == "finished"
    assert train_in(strange, *SMALL, "name=" + quoted(NAME.replace('"', ""))).status == 0
    assert gradcheck_in(strange, *SMALL, "gradcheck.pictures=2", "gradcheck.dimensions=3").status == 0
    outcome = train_in(strange, *SMALL, f"resume={strange / 'X'}")
    assert (outcome.status, outcome.err) == (0, "")


@pytest.mark.parametrize("launcher", ["population", "joblib"])
def test_a_sweep_in_a_folder_of_any_name(launcher: str, cifar_root: Path, strange: Path, tmp_path: Path) -> None:
    arguments = (f"hydra/launcher={launcher}", "lam=0,1e-3")
    folder = swept(strange, *arguments)
    (tmp_path / "plain").mkdir()
    assert_same_sweep(folder, swept(tmp_path / "plain", *arguments), ["grid"])
    assert sweep_in(strange, *TINY, ALONE, f"resume={folder}").status == 0


def test_a_users_settings_in_a_folder_of_any_name(strange: Path) -> None:
    (strange / "model").mkdir()
    (strange / "model/mine.yaml").write_text("# Mine\ndefaults: [_base, _self_]\nhidden: [7]\n")
    outcome = train_in(strange, "--config-dir", str(strange), "model=mine", "--cfg", "job")
    assert "  hidden:\n  - 7\n" in outcome.out
    assert "mine" in train_in(strange, "--help", "--config-dir", str(strange)).out


@pytest.mark.parametrize("flags", SHOWING, ids=" ".join)
def test_nothing_is_written_to_show_something(flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_LINE", "kls-train mo")
    outcome = train_in(Path("/proc"), *flags)  # nobody may write there
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out


def test_a_run_where_nothing_can_be_written_is_refused(cifar_root: Path) -> None:
    assert mistake(train_in(Path("/proc"), *SMALL)).endswith("No such file or directory: 'outputs'")
    assert mistake(sweep_in(Path("/proc"), *TINY, "lam=0,1")).endswith("No such file or directory: 'outputs'")


def test_studies_in_a_folder_of_any_name(strange: Path) -> None:
    outcome = call(study.main, ("straathof2019", "--smoke", "--dry-run", "--out", str(strange)), strange)
    assert (outcome.status, outcome.err) == (0, "")
    assert "hydra.sweep.dir=" in outcome.out
