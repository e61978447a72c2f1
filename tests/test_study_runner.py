"""kls.study: steps run in order, each once; what is done is skipped, what was cut goes on, what fails is told."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from entry_points import assert_same_run, file_hashes, metrics_of, mistake
from small_studies import CHECK, LONG, TINY, Process, gradients, quoted, step_record, study_in, sweep, write_study
from small_sweeps import FOLDER, file_times, job_folders, record_of, sweep_in

from kls.config.study_file import Study
from kls.records import checked, names

pytestmark = pytest.mark.slow


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the studies that a report was written of, by a stand-in."""
    keys: list[str] = []

    def write(study: Study, out: Path) -> Path:
        keys.append(study.key)
        return out / study.key / "report.html"

    monkeypatch.setattr("kls.study.page.write_study_page", write)
    return keys


def test_order_failure_skipping_and_repetition(cifar_root: Path, tmp_path: Path, reported: list[str]) -> None:
    """A failed step costs no other; the same command tries it again, and nothing else."""
    write_study(
        tmp_path,
        sweep("first", *TINY),
        sweep("broken", *TINY, "model.bn.momentum=2"),
        gradients("check", plain=[*CHECK, "model.bn.enabled=false"], bn=CHECK),
        gradients("wrong", bn=[*CHECK, "gradcheck.tolerance=1e-300"]),
    )
    outcome = study_in(tmp_path)
    steps = tmp_path / "out" / "steps"
    broken = "broken: failed: model.bn.momentum=2: must be less than 1; see out/steps/broken/step.log"
    wrong_start, wrong_end = "wrong: failed: largest error ", "; see out/steps/wrong/step.log"
    lines = outcome.out.splitlines()
    assert lines[0].startswith("first: 5 runs in ")
    assert lines[1] == broken
    assert lines[2].startswith("check: 2 gradient checks in ")
    assert lines[3].startswith(wrong_start)
    assert lines[3].endswith(wrong_end)
    assert lines[4] == "mine: report in out/mine/report.html"
    assert (len(lines), outcome.status, reported) == (5, 1, ["mine"])
    assert outcome.err.splitlines() == [f"error: {broken}", f"error: {lines[3]}"]

    first = step_record(tmp_path, "first")
    assert first["commands"] == [
        f"python -m kls.train --multirun sweeps=seeds plots=false data=cifar10 {' '.join(quoted(TINY))} "
        "hydra.sweep.dir=out/steps/first"
    ]
    assert (first["schema"], first["definition"]["name"]) == (names.SCHEMA, "seeds")
    assert (first["ended"], step_record(tmp_path, "broken")["ended"]) == (True, False)
    assert 0.0 < first["seconds"] < 600.0
    assert len(step_record(tmp_path, "check")["commands"]) == 2
    assert record_of(steps / "first")["status"] == names.FINISHED
    assert [metrics_of(job)["status"] for job in job_folders(steps / "first", "seeds")] == [names.FINISHED] * 5
    assert sorted(path.parent.name for path in (steps / "check").glob(f"*/{names.GRADIENTS}")) == ["bn", "plain"]

    kept = {path: hashes for path in ("first", "check") for hashes in [file_hashes(steps / path)]}
    again = study_in(tmp_path).out.splitlines()
    assert again[0] == "first: done already"
    assert again[1] == broken
    assert again[2] == "check: done already"
    assert again[3].startswith(wrong_start)
    assert {path: file_hashes(steps / path) for path in kept} == kept

    assert study_in(tmp_path, "threads=2", "hydra.launcher.n_jobs=2").out.splitlines()[0] == "first: done already"
    write_study(tmp_path, sweep("first", *TINY, "lam=0.1"), sweep("broken", *TINY), gradients("check", bn=CHECK))
    changed = study_in(tmp_path).out.splitlines()
    assert changed[0] == (
        "first: failed: it was run before by another command; remove out/steps/first, or give another --out; "
        "see out/steps/first/step.log"
    )
    assert changed[2].startswith("check: failed: it was run before by another command")
    assert {path: file_hashes(steps / path) for path in kept} == kept


def test_a_sweep_that_failed_as_a_whole_is_tried_again(
    cifar_root: Path, tmp_path: Path, reported: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as by data that were not there; its failed runs do not stand in the way."""
    write_study(tmp_path, sweep("first", *TINY))
    monkeypatch.setenv("KLS_DATA", str(tmp_path / "nowhere"))
    outcome = study_in(tmp_path)
    assert outcome.status == 1
    assert outcome.out.splitlines()[0] == (
        "first: failed: stage seeds: every trial failed; the logs are in their folders; see out/steps/first/step.log"
    )
    monkeypatch.setenv("KLS_DATA", str(cifar_root))
    assert study_in(tmp_path).status == 0
    jobs = job_folders(tmp_path / "out" / "steps" / "first", "seeds")
    assert [metrics_of(job)["status"] for job in jobs] == [names.FINISHED] * 5


@pytest.mark.parametrize("schema", [None, names.SCHEMA + 1])
def test_records_of_other_versions(schema: int | None, cifar_root: Path, tmp_path: Path, reported: list[str]) -> None:
    """An older step, which has no schema and another form of definition, goes on; one of a newer kls is left alone."""
    write_study(tmp_path, gradients("check", bn=CHECK))
    assert study_in(tmp_path).status == 0
    path = tmp_path / "out" / "steps" / "check" / names.STEP
    record = {key: value for key, value in step_record(tmp_path, "check").items() if key not in ("schema", "checksum")}
    record |= {
        "ended": False,
        "seconds": 1000.0,
        "definition": {"gradients": {}},
        **({"schema": schema} if schema else {}),
    }
    checked.write_json(path, record)
    outcome = study_in(tmp_path)
    if schema is None:
        assert (outcome.status, outcome.out.splitlines()[0]) == (0, "check: 1 gradient check in 17 min (step 1 of 1)")
        assert step_record(tmp_path, "check")["schema"] == names.SCHEMA
    else:
        newer = f"check: failed: out/steps/check/step.json: was written by a newer kls (schema {schema}); see "
        assert outcome.out.startswith(newer)
        assert checked.read_json(path) == record


def test_a_report_that_fails_is_told(cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(study: Study, out: Path) -> Path:
        raise KeyError(study.key)

    monkeypatch.setattr("kls.study.page.write_study_page", write)
    write_study(tmp_path, gradients("check", bn=CHECK))
    outcome = study_in(tmp_path)
    assert outcome.out.splitlines()[-1] == "mine: no report: KeyError: 'mine'"
    assert (outcome.status, outcome.err) == (1, "error: mine: no report: KeyError: 'mine'\n")


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_kill_and_ctrl_c(cifar_root: Path, tmp_path: Path, reported: list[str]) -> None:
    """A second one at once is refused; kill -9, then Ctrl-C: the same command ends with the runs of one go."""
    write_study(tmp_path, sweep("long", *LONG))
    killed = Process(tmp_path)
    killed.wait_for_checkpoints(1)
    assert mistake(study_in(tmp_path)).startswith("out: another process is at work here")
    assert killed.send(signal.SIGKILL) == -signal.SIGKILL
    time.sleep(0.5)
    left = file_times(tmp_path / "out" / "steps")
    time.sleep(0.5)
    assert file_times(tmp_path / "out" / "steps") == left  # its worker is gone too

    stopped = Process(tmp_path)
    stopped.wait_for_checkpoints(3)
    assert stopped.send(signal.SIGINT) == 130
    assert stopped.text().splitlines()[-1] == "stopped; the same command goes on from here"
    assert record_of(stopped.folder)["status"] == names.INTERRUPTED
    assert step_record(tmp_path, "long")["ended"] is False
    seconds = step_record(tmp_path, "long")["seconds"]

    assert study_in(tmp_path).status == 0
    assert step_record(tmp_path, "long")["ended"] is True
    assert step_record(tmp_path, "long")["seconds"] > seconds
    once = tmp_path / "once"
    once.mkdir()
    assert sweep_in(once, "sweeps=seeds", *LONG, "plots=false", FOLDER).status == 0
    jobs = job_folders(stopped.folder, "seeds")
    assert [job.name for job in jobs] == list("01234")
    for job in jobs:
        assert_same_run(job, once / "sweep" / "seeds" / job.name)


def test_idle_workers_of_a_sweep_are_not_waited_for(cifar_root: Path, tmp_path: Path) -> None:
    """They would end by themselves after five minutes."""
    two_at_once = [one for one in TINY if "n_jobs" not in one]
    two_at_once += ["hydra.launcher.n_jobs=2", "hydra.launcher.max_members=1"]
    write_study(tmp_path, sweep("first", *two_at_once), gradients("check", bn=CHECK))
    assert Process(tmp_path).wait() == 0
    assert [step_record(tmp_path, name)["ended"] for name in ("first", "check")] == [True, True]
