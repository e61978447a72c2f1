"""sweep.json, the lock of a sweep's folder, and what may change when a sweep goes on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from kls.errors import DamageError, UserError
from kls.records.escape import shortened
from kls.records.lock import only_process
from kls.records.sweep_record import SweepRecord, read_sweep

STAGES = [{"name": "coarse", "trials": 8, "params": {"lam": {"low": 1e-5}}}, {"name": "fine", "trials": 6}]
DEFINITION: dict[str, Any] = {"settings": {"batch_size": 100, "model.hidden": [50, 50]}, "stages": STAGES}

EMPTY: Mapping[str, Any] = MappingProxyType({})

HOLDER = """
import sys, time
from pathlib import Path
from kls.records.lock import only_process
with only_process(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def begin(
    folder: Path, definition: dict[str, Any] = DEFINITION, resume: bool = False, newer: Mapping[str, Any] = EMPTY
) -> SweepRecord:
    def as_now(was: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
        return {**newer, **was}

    overrides = ["sweeps=smoke", "batch_size=100"]
    return SweepRecord(folder, definition, overrides, resume, {"optuna_version": "5.0.0"}, as_now)


def refusal(folder: Path, definition: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        begin(folder, definition, resume=True)
    return str(caught.value)


def test_a_setting_that_came_later_had_its_default(tmp_path: Path) -> None:
    begin(tmp_path)
    newer = DEFINITION | {"new": 3}
    with pytest.raises(UserError, match=r"changed: new: 2 -> 3$"):
        begin(tmp_path, newer, resume=True, newer={"new": 2})
    begin(tmp_path, newer, resume=True, newer={"new": 3})


def test_a_new_record(tmp_path: Path) -> None:
    begin(tmp_path)
    assert read_sweep(tmp_path) == {
        "schema": 1,
        "optuna_version": "5.0.0",
        "overrides": ["sweeps=smoke", "batch_size=100"],
        "status": "running",
        "metric": "val_accuracy",
        "definition": DEFINITION,
        "stages": [],
    }


def test_status_and_stages_are_written_at_once(tmp_path: Path) -> None:
    record = begin(tmp_path)
    stages = [
        {"name": name, "n": n, "status": status}
        for name, n, status in (("coarse", 1, "finished"), ("fine", 1, "running"), ("fine", 2, "running"))
    ]
    for entry in stages:
        record.put_stage(dict(entry))
        assert read_sweep(tmp_path)["stages"][-1] == entry
    record.set_status("interrupted")
    assert read_sweep(tmp_path)["status"] == "interrupted"
    assert read_sweep(tmp_path)["stages"] == [stages[0], stages[2] | {"status": "interrupted"}]


def test_a_damaged_record_is_restored_from_its_copy(tmp_path: Path) -> None:
    begin(tmp_path)
    before = read_sweep(tmp_path)
    for spoil in (b"", b"{", b"\0" * 100, (tmp_path / "sweep.json").read_bytes().replace(b"100", b"101")):
        (tmp_path / "sweep.json").write_bytes(spoil)
        with pytest.raises(DamageError):
            read_sweep(tmp_path)
        assert read_sweep(tmp_path, restore=True) == read_sweep(tmp_path) == before
    (tmp_path / "sweep.json").unlink()
    assert read_sweep(tmp_path, restore=True) == before
    assert len(list(tmp_path.glob("sweep.json.damaged*"))) == 4


def test_a_resumed_record_keeps_the_command_that_began_it(tmp_path: Path) -> None:
    begin(tmp_path)
    SweepRecord(tmp_path, DEFINITION, ["resume=x"], resume=True, facts={}, as_now=lambda was, now: was)
    assert read_sweep(tmp_path)["overrides"] == ["sweeps=smoke", "batch_size=100"]


def test_a_sweep_is_not_begun_where_there_is_one(tmp_path: Path) -> None:
    begin(tmp_path)
    before = (tmp_path / "sweep.json").read_bytes()
    message = (
        f"{tmp_path}: has sweep.json already, which a sweep would overwrite; take another folder, "
        f"or go on with what is there by resume={tmp_path}"
    )
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        begin(tmp_path)
    assert (tmp_path / "sweep.json").read_bytes() == before


@pytest.mark.parametrize(
    ("definition", "changes"),
    [
        (
            {"settings": {"batch_size": 50, "model.hidden": [50, 50], "lam": 0.1}, "stages": STAGES},
            "settings.batch_size: 100 -> 50; settings.lam: null -> 0.1",
        ),
        (
            DEFINITION | {"settings": {"batch_size": 100, "model.hidden": [50, 40]}},
            "settings.model.hidden[1]: 50 -> 40",
        ),
        (DEFINITION | {"stages": [STAGES[0], STAGES[1] | {"trials": 7}]}, "stages[fine].trials: 6 -> 7"),
        (
            DEFINITION | {"stages": [STAGES[0] | {"params": {"lam": {"low": 1e-4}}}, STAGES[1]]},
            "stages[coarse].params.lam.low: 1e-05 -> 0.0001",
        ),
        (
            DEFINITION | {"stages": [STAGES[1]]},
            f"stages: {shortened(json.dumps(STAGES))} -> {json.dumps([STAGES[1]])}",
        ),
    ],
)
def test_a_changed_definition_is_refused_with_the_difference(
    definition: dict[str, Any], changes: str, tmp_path: Path
) -> None:
    begin(tmp_path)
    before = (tmp_path / "sweep.json").read_bytes()
    assert refusal(tmp_path, definition) == f"{tmp_path}: a sweep goes on as it began; changed: {changes}"
    assert (tmp_path / "sweep.json").read_bytes() == before


def test_tuples_and_lists_are_the_same_definition(tmp_path: Path) -> None:
    begin(tmp_path)
    begin(tmp_path, DEFINITION | {"settings": {"batch_size": 100, "model.hidden": (50, 50)}}, resume=True)


def test_folders_without_a_record(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not a sweep's folder, it has no sweep\.json$"):
        read_sweep(tmp_path)
    (tmp_path / "sweep.json").write_text('{"status": ')
    with pytest.raises(UserError, match=r"sweep\.json: not valid JSON \(Expecting value"):
        read_sweep(tmp_path)


def test_the_lock_ends_with_the_context_and_with_the_process_that_held_it(tmp_path: Path) -> None:
    with only_process(tmp_path):
        pass
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        message = f"{tmp_path}: another process is at work here; wait for it, or stop it first"
        with pytest.raises(UserError, match=f"^{re.escape(message)}$"), only_process(tmp_path):
            pass
        holder.kill()
    with only_process(tmp_path):
        pass
