"""kls runs: what is in a folder, newest first, with status and score."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from entry_points import Outcome, call, mistake
from made_up_runs import make_run, make_sweep

from kls.list_runs import main
from kls.records import names
from kls.records.lock import is_held, only_process

SEED = {"values": [0, 1, 2]}


def listed(cwd: Path, *arguments: str) -> Outcome:
    outcome = call(main, arguments, cwd)
    assert (outcome.status, outcome.err) == (0, "")
    return outcome


def objects(cwd: Path, *arguments: str) -> list[dict[str, Any]]:
    found = json.loads(listed(cwd, "--json", *arguments).out)
    assert isinstance(found, list)
    return found


def aged(folder: Path, days: float) -> Path:
    """The folder with a record as old as that."""
    for name in (names.METRICS, names.SWEEP):
        if (folder / name).exists():
            os.utime(folder / name, (time.time() - 86_400 * days,) * 2)
    return folder


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Two sweeps and three runs; the newest is a sweep that says that it is running."""
    coarse = {
        "name": "coarse", "status": "finished", "params": {"lam": {"low": 1e-4, "high": 0.1}}, "runs": {"finished": 4},
        "best": {"trial": 2, "val_accuracy": 0.56, "params": {"lam": 0.01}},
    }  # fmt: skip
    confirm = {
        "name": "confirm", "status": "finished", "params": {"lam": {}, "seed": SEED}, "runs": {"finished": 3},
        "best": {"trial": 0, "val_accuracy": 0.54, "params": {"lam": 0.01}}, "confirm": True,
    }  # fmt: skip
    root = tmp_path / "outputs"
    for stage, scores in (("coarse", (0.5, 0.55, 0.56, 0.2)), ("confirm", (0.53, 0.54, 0.55))):
        for i, score in enumerate(scores):
            drawn = {"seed": i, "lam": 0.01} if stage == "confirm" else {"lam": 0.01 if i == 2 else 0.1 * (i + 1)}
            make_run(root / "search/1" / stage / str(i), score, **drawn)
    make_sweep(root / "search/1", [coarse, confirm], status="finished", overrides=["sweeps=lambda_search"])
    make_run(root / "going/1/grid/0", 0.5)
    make_run(root / "going/1/grid/1", None, status="running")
    make_sweep(root / "going/1", [{"name": "grid", "status": "running"}], status="running", overrides=["name=going"])
    make_run(root / "day/a", 0.41, model="9layer")
    make_run(root / "day/b", None, status="interrupted")
    make_run(root / "day/c", None, status="running", data="synthetic textures")
    for days, name in enumerate(("going/1", "search/1", "day/a", "day/b", "day/c")):
        aged(root / name, 3 * days)
    return tmp_path


def test_all_of_it(outputs: Path) -> None:
    lines = listed(outputs).out.splitlines()
    assert max(map(len, lines)) <= 120
    rows = [re.sub(r"\d+ s ", "N s ", line).split("  ") for line in lines[2:]]
    assert [[cell.strip() for cell in row if cell.strip()] for row in rows] == [
        ["sweep going", "stale", "2", "-", "-", "N s", "outputs/going/1"],
        ["sweep lambda_search", "finished", "7", "54.00 ± 1.00 (n=3)", "CIFAR-10", "3 days", "outputs/search/1"],
        ["run 9layer", "finished", "1", "41.00", "CIFAR-10", "6 days", "outputs/day/a"],
        ["run 3layer_bn", "interrupted", "1", "-", "CIFAR-10", "9 days", "outputs/day/b"],
        ["run 3layer_bn", "stale", "1", "-", "synthetic textures", "12 days", "outputs/day/c"],
    ]


def test_a_search_without_a_confirmation_has_its_best_single_run(outputs: Path) -> None:
    folder = outputs / "outputs/search/1"
    record = json.loads((folder / names.SWEEP).read_text())
    make_sweep(folder, record["stages"][:1], status="finished")
    (entry,) = objects(outputs, "outputs/search")
    assert (entry["name"], entry["val_accuracy"], entry["n"], entry["sd"]) == ("1", 0.56, 1, None)


def test_limit_status_and_numbers(outputs: Path) -> None:
    assert [entry["folder"] for entry in objects(outputs, "--limit", "2")] == ["outputs/going/1", "outputs/search/1"]
    assert len(objects(outputs, "--limit", "0")) == 5
    assert listed(outputs, "--limit", "2").out.splitlines()[-1] == "the newest 2 of 5; --limit 0 lists all"
    found = objects(outputs, "--status", "stale", "--status", "interrupted")
    assert [entry["folder"] for entry in found] == [f"outputs/{name}" for name in ("going/1", "day/b", "day/c")]
    (entry,) = objects(outputs, "outputs/search")
    assert {k: entry[k] for k in ("kind", "status", "runs", "n", "data")} == {
        "kind": "sweep", "status": "finished", "runs": 7, "n": 3, "data": "CIFAR-10",
    }  # fmt: skip
    assert (entry["val_accuracy"], entry["sd"]) == (pytest.approx(0.54), pytest.approx(0.01))
    assert listed(outputs, "--status", "pruned").out == "none of that status\n"


def test_what_holds_its_lock_is_running(outputs: Path) -> None:
    folder = outputs / "outputs/going/1"
    assert not is_held(folder)
    with only_process(folder):
        assert is_held(folder)
        assert objects(outputs, "outputs/going")[0]["status"] == "running"
    assert not is_held(folder)
    assert objects(outputs, "outputs/going")[0]["status"] == "stale"


def test_damaged_records_and_places_outside(outputs: Path) -> None:
    root = outputs / "outputs"
    (root / "day/a" / names.METRICS).write_text("{")
    (root / "search/1" / names.SWEEP).write_text('{"stages": 5}')
    make_run(outputs / "elsewhere/0", 0.9)
    best = {"trial": 0, "val_accuracy": 0.9}
    make_sweep(root / "going/1", [{"name": "../../../elsewhere", "best": best, "params": {}}], status="finished")
    found = {entry["folder"].removeprefix("outputs/"): entry for entry in objects(outputs)}
    assert (found["day/a"]["status"], found["search/1"]["status"]) == ("damaged", "damaged")
    assert (found["going/1"]["val_accuracy"], found["going/1"]["runs"]) == (None, 0)
    (root / "going/1/out").symlink_to(outputs / "elsewhere")
    make_sweep(root / "going/1", [{"name": "out", "best": best, "params": {}}], status="finished")
    assert objects(outputs, "outputs/going")[0]["val_accuracy"] is None


def test_mistakes(tmp_path: Path) -> None:
    assert mistake(call(main, (), tmp_path)) == "outputs: there is no such folder"
    (tmp_path / "outputs").mkdir()
    assert mistake(call(main, (), tmp_path)) == "outputs: no sweeps or runs there"
    assert mistake(call(main, ("--limit", "-1"), tmp_path)) == "--limit -1: must be 0 or more"


def test_long_names_fit(tmp_path: Path) -> None:
    make_run(tmp_path / "outputs" / ("x" * 150) / "end", 0.5, data="d" * 90, metrics={"model": "m" * 90})
    lines = listed(tmp_path).out.splitlines()
    assert max(map(len, lines)) <= 120
    assert lines[-1].endswith("x/end")
