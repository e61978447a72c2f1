"""The command kls: its help, its subcommands, and what shells complete."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from entry_points import Outcome, call, mistake, python

import kls
from kls.__main__ import COMMANDS, entry, main

SHELLS = [shell for shell in ("bash", "zsh", "fish") if shutil.which(shell)]


def kls_in(cwd: Path, *arguments: str) -> Outcome:
    return call(main, arguments, cwd)


def test_help_says_what_each_command_does(tmp_path: Path) -> None:
    pages = [kls_in(tmp_path, *arguments) for arguments in ((), ("--help",), ("-h",))]
    assert [(page.status, page.err) for page in pages] == [(0, "")] * 3
    assert pages[0].out == pages[1].out == pages[2].out
    lines = [line.split(maxsplit=1) for line in pages[0].out.splitlines() if line.startswith("  ")]
    assert [name for name, _ in lines] == list(COMMANDS)
    assert max(map(len, pages[0].out.splitlines())) <= 120


def test_every_command_is_there() -> None:
    wanted = {"train", "sweep", "evaluate", "gradcheck", "aggregate", "compare", "report", "study", "bench"}
    assert wanted | {"runs", "export"} == set(COMMANDS)
    assert all(callable(entry(command)) for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_its_name(command: str, tmp_path: Path) -> None:
    outcome = kls_in(tmp_path, command, "--help")
    assert (outcome.status, outcome.err) == (0, "")
    assert f"kls {command}" in outcome.out or command == "sweep"
    assert "python -m" not in outcome.out
    if command not in ("train", "sweep", "gradcheck"):
        assert outcome.out.startswith(f"usage: kls {command} ")


def test_the_module_keeps_its_own_name(tmp_path: Path) -> None:
    assert python(tmp_path, "-m", "kls.evaluate", "--help").out.startswith("usage: python -m kls.evaluate ")
    assert python(tmp_path, "-m", "kls", "--version").out == f"kls {kls.__version__}\n"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("trian", "kls trian: there is no such command; did you mean train?"),
        ("evalute", "kls evalute: there is no such command; did you mean evaluate?"),
        ("zzz", f"kls zzz: there is no such command; there are {', '.join(COMMANDS)}"),
        ("--completion", "--completion '': give one of bash, zsh, fish"),
    ],
)
def test_mistakes(given: str, line: str, tmp_path: Path) -> None:
    assert mistake(kls_in(tmp_path, given)) == line


def test_a_sweep_is_train_with_multirun(tmp_path: Path) -> None:
    told = "lam: stage coarse sets it for each trial; leave it out"
    assert mistake(kls_in(tmp_path, "sweep", "sweeps=smoke", "lam=1")) == told
    assert mistake(kls_in(tmp_path, "sweep", "--multirun", "sweeps=smoke", "lam=1")) == told
    assert mistake(kls_in(tmp_path, "train", "sweeps=smoke")).startswith("sweeps=smoke: a sweep is run with --mult")
    assert "lam: 0.005" in kls_in(tmp_path, "sweep", "--cfg", "job").out


COMPLETED = {
    "kls ag": {"aggregate"},
    "kls --v": {"--version"},
    "kls aggregate --so": {"--sort"},
    "kls aggregate out": set(),
    "kls nothing ": set(),
    "kls train model=3": {"model=3layer", "model=3layer_bn"},
    "kls sweep sweeps=smoke optimizer/schedule=c": {"optimizer/schedule=constant", "optimizer/schedule=cyclic"},
    "kls gradcheck gradcheck.p": {"gradcheck.pictures="},
    "kls train --config-dir own model=m": {"model=mine"},
}


@pytest.mark.parametrize("line", COMPLETED)
def test_what_is_offered(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own/model").mkdir(parents=True)
    (tmp_path / "own/model/mine.yaml").write_text("defaults: [_base, _self_]\nhidden: [7]\n")
    monkeypatch.setenv("COMP_LINE", "")  # which is set here
    outcome = kls_in(tmp_path, "--complete", line)
    assert (outcome.status, outcome.err) == (0, "")
    assert set(outcome.out.split()) == COMPLETED[line]


def test_flags_of_hydra_and_all_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_LINE", "")
    assert {"--multirun", "--config-dir", "--cfg"} <= set(kls_in(tmp_path, "--complete", "kls train --").out.split())
    assert {"model=", "lam=", "sweeps="} <= set(kls_in(tmp_path, "--complete", "kls train ").out.split())


DRIVERS = {
    "bash": """
        eval "$(kls --completion bash)"
        complete -p kls | grep -o -e "-F _kls kls"
        compopt() { :; }
        ask() { COMP_LINE="$1"; COMP_POINT=${#1}; _kls 2>&1; echo "${COMPREPLY[*]}"; }
        ask "kls tr"; ask "kls train model=9"; COMP_WORDBREAKS=" "; ask "kls train model=9"
    """,
    "zsh": """
        autoload -Uz compinit && compinit -u -d ./dump
        eval "$(kls --completion zsh)"
        echo $_comps[kls]
        compadd() { echo ${@[5,-1]} }
        words=(kls tr) CURRENT=2 _kls; words=(kls train model=9) CURRENT=3 _kls
    """,
    "fish": """
        kls --completion fish | source
        complete -C "kls tr"; complete -C "kls train model=9"
    """,
}
SAID = {
    "bash": ["-F _kls kls", "train", "9layer 9layer_bn", "model=9layer model=9layer_bn"],
    "zsh": ["_kls", "train", "model=9layer model=9layer_bn"],
    "fish": ["train", "model=9layer", "model=9layer_bn"],
}


@pytest.mark.parametrize("shell", DRIVERS)
def test_a_shell_completes(shell: str, tmp_path: Path) -> None:
    if shell not in SHELLS:
        pytest.skip(f"{shell} is not installed")
    command = tmp_path / "bin" / "kls"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m kls "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    run = [shell, *(["--norc", "--noprofile"] if shell == "bash" else []), "-c", DRIVERS[shell]]
    ended = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.stdout.splitlines() == SAID[shell], ended.stderr
