"""Options of the commands on runs and studies: silly ones end in one line, odd folders work, others' files are kept."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from types import ModuleType

import pytest
from entry_points import call, mistake, python
from made_up_runs import make_run, make_sweep

import kls.report.pictures
from kls import aggregate
from kls.analysis.runs import read_runs
from kls.bench import __main__ as bench
from kls.records.own_files import is_own
from kls.report import __main__ as report
from kls.report.provenance import sweep_commands
from kls.study import __main__ as study

ODD = ["with space", "quo'te\"s", "a=b,c", "Zürich 東京", "$(x)", "-x", "%s{}", "[a]", "new\nline"]


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    for seed in range(3):
        make_run(tmp_path / "runs" / str(seed), 0.5 + seed / 100, seed=seed)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", [*ODD[:2], *(pytest.param(name, marks=pytest.mark.slow) for name in ODD[2:])])
def test_odd_names_of_folders(name: str, cwd: Path) -> None:
    (cwd / "runs").rename(cwd / f"in {name}")
    for module, file in ((aggregate, "summary.md"), (report, "report.html")):
        outcome = call(module.main, (f"in {name}", f"--out=out/{name}"), cwd)
        assert (outcome.status, outcome.err) == (0, "")
        assert is_own(cwd / "out" / name / file)
        assert call(module.main, (f"in {name}", f"--out=out/{name}"), cwd).status == 0  # and over its own


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        (study, ("",), "'': there is no such study; there are straathof2019, "),
        (study, ("x" * 5000,), "x" * 80 + "...: there is no such study; "),
        (study, ("a\x1b[2Jb",), "a\\x1b[2Jb: there is no such study; "),
        (study, ("none.yaml",), "none.yaml: there is no such file"),
        (study, ("dir.yaml",), "dir.yaml: is not a file"),
        (study, ("gelisgen2019", "--smoke", "--out", "file"), "file: cannot be written to (File exists); give another"),
        (study, ("gelisgen2019", "--smoke", "--out", "file/x"), "file/x: cannot be written to (Not a directory)"),
        (bench, ("--only", ""), "--only '': there is no such model; there are "),
        (bench, ("--only", "../data/cifar10"), "--only ../data/cifar10: there is no such model"),
        (bench, ("--rounds", "1" + "0" * 30), "--rounds 1" + "0" * 30 + ": must be 1 to 1,000"),
        (bench, ("--rounds", "0"), "--rounds 0: must be 1 to 1,000"),
        (bench, ("--peers", "x" * 5000), "--peers " + "x" * 80 + "...: there is no such library"),
        (aggregate, ("runs", "--top", "1" + "0" * 30), "top=1" + "0" * 30 + ", curves=8: top must be 1 to 10,000"),
        (aggregate, ("runs", "--curves", "-1"), "top=5, curves=-1: top must be 1 to 10,000, curves 0 to "),
        (aggregate, ("runs", "--where", ""), "--where: '' cannot be read"),
        (aggregate, ("runs", "--where", "lam == " + "1" * 9000), "--where: 'lam == " + "1" * 72 + "... cannot be read"),
        (aggregate, ("runs", "--where", "not " * 2000), "--where: '" + "not " * 19 + "not... cannot be read"),
        (aggregate, ("runs", "--where", "not " * 2000 + "lam"), "--where: '" + "not " * 19 + "not... cannot be read"),
        (aggregate, ("runs", "--sort", "x" * 5000), "x" * 80 + "...: there is no such column; there are folder, "),
        (aggregate, ("runs", "--out", "file"), "file: cannot be written to (File exists)"),
        (aggregate, ("runs", "--out", "file/x"), "file/x: cannot be written to (Not a directory)"),
        (aggregate, ("file",), "file: is not a folder"),
        (aggregate, ("none",), "none: there is no such folder"),
        (aggregate, ("empty",), "empty: no runs there"),
        (aggregate, ("x" * 300,), "[Errno 36] File name too long"),
        (report, ("runs", "--out", "file/x"), "file/x: cannot be written to (Not a directory)"),
    ],
)  # fmt: skip
def test_mistakes(module: ModuleType, arguments: tuple[str, ...], message: str, cwd: Path) -> None:
    (cwd / "dir.yaml").mkdir()
    before = sorted(cwd.rglob("*"))
    said = mistake(call(module.main, arguments, cwd))
    assert said.startswith(message)
    assert len(said) < 600
    assert sorted(cwd.rglob("*")) == before
    assert (cwd / "file").read_text() == "mine"


@pytest.mark.parametrize("module", [study, bench, aggregate, report])
@pytest.mark.parametrize("arguments", [("--nonsense",), ("--out", ""), ("a\0b", "--out", "x\0"), ("--top", "x")])
def test_what_argparse_refuses(module: ModuleType, arguments: tuple[str, ...], cwd: Path) -> None:
    outcome = call(module.main, arguments if module in (study, bench) else ("runs", *arguments), cwd)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.splitlines()[-1].startswith("python -m kls.")


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes")
def test_a_folder_whose_name_is_no_text(cwd: Path) -> None:
    os.rename(os.fsencode(cwd / "runs" / "0"), os.fsencode(cwd / "runs") + b"/\xff")  # noqa: PTH104
    outcome = python(cwd, "-m", "kls.aggregate", "runs", "--out", "out")
    assert (outcome.status, outcome.err) == (0, "")
    assert "\\udcff" in (cwd / "out" / "runs.csv").read_text(encoding="utf-8")


OTHERS: dict[str, ModuleType] = {
    **dict.fromkeys(("report.md", "report.html", "report-curves.png"), report),
    **dict.fromkeys(("runs.csv", "summary.csv", "summary.md", "summary.tex", "curves.png"), aggregate),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.slow
def test_files_of_others_are_kept(name: str, cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kls.report.pictures, "FORMATS", ("png",))
    if name.endswith(".png"):
        make_run(cwd / "runs" / "curve", 0.5, seed=3, history=2)
    documents = cwd / "documents"
    documents.mkdir()
    (documents / name).write_bytes(b"my own notes")
    said = mistake(call(OTHERS[name].main, ("runs", "--out", "documents"), cwd))
    assert said == f"documents/{name}: is there already, and kls did not write it; remove it, or give another --out"
    assert [path.name for path in documents.iterdir()] == [name]
    assert (documents / name).read_bytes() == b"my own notes"
    (documents / name).unlink()
    (documents / name).symlink_to(cwd / "file")
    assert call(OTHERS[name].main, ("runs", "--out", "documents"), cwd).status == 1
    assert (cwd / "file").read_text() == "mine"


@pytest.mark.slow
def test_own_files_are_renewed(cwd: Path) -> None:
    make_run(cwd / "runs" / "curve", 0.5, seed=3, history=2)
    for module in (aggregate, report) * 2:
        assert call(module.main, ("runs", "--out", "out"), cwd).status == 0
    assert all(is_own(path) for path in (cwd / "out").iterdir())


def test_commands_of_a_sweep_with_settings_of_ones_own(cwd: Path) -> None:
    make_sweep(cwd / "runs", [], overrides=["sweeps=mine", "lam=1"], config_dir="my conf's")
    (cwd / "runs" / "grid").mkdir()
    (cwd / "runs" / "0").rename(cwd / "runs" / "grid" / "0")
    (command,) = sweep_commands(read_runs([cwd / "runs"]))
    told = ["python", "-m", "kls.train", "--multirun", "--config-dir", "my conf's", "sweeps=mine", "lam=1"]
    assert shlex.split(command) == told
    make_sweep(cwd / "runs", [], overrides=["lam=1"], config_dir=None)
    assert sweep_commands(read_runs([cwd / "runs"])) == ["python -m kls.train --multirun lam=1"]


YAML = [
    b"", b"\0", b"\xff\xfe", b"[" * 3000, b"a: " + b"{a: " * 3000, b"- 1", b"text", b"a: &a [1]\nb: *a\n",
    b"!!python/object/apply:os.system [touch made]", b"title: !!python/name:os.system x", b"\x1b[2J", b"? " * 9000,
    b"title: x\nsteps: 3\n", b"1: 2\n", b"title: x\n\x1b[2J: y\n", b"steps: [[[[]]]]\n",
    json.dumps("x" * 10**6).encode(),
]  # fmt: skip


@pytest.mark.parametrize("content", YAML)
def test_a_damaged_study(content: bytes, cwd: Path) -> None:
    (cwd / "mine.yaml").write_bytes(content)
    said = mistake(call(study.main, ("mine.yaml", "--dry-run"), cwd))
    assert said.startswith("mine.yaml: ")
    assert len(said) < 500
    assert said.isprintable()
    assert not (cwd / "made").exists()


def test_a_study_of_100_megabytes_and_one_that_is_a_pipe(cwd: Path) -> None:
    with (cwd / "mine.yaml").open("wb") as file:
        file.truncate(10**8)
    assert mistake(call(study.main, ("mine.yaml", "--list"), cwd)) == "mine.yaml: is larger than 256 KiB"
    os.mkfifo(cwd / "pipe.yaml")
    assert mistake(call(study.main, ("pipe.yaml", "--list"), cwd)) == "pipe.yaml: is not a file"
