"""A run that was stopped and resumed, however and how often, ends in the same bits as one that was not."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from entry_points import (
    SMALL,
    STEPS,
    arrays_of,
    assert_same_run,
    config_of,
    file_hashes,
    history_of,
    metrics_of,
    run_folders,
    train_in,
    trained,
)
from interrupted_training import SCRIPT, at_step, interrupted, resumed, terminate

from kls.records import atomic, names

OFTEN = "checkpoint_seconds=0"
VARIANTS: dict[str, tuple[str, ...]] = {
    "momentum": ("optimizer.momentum=0.9", "optimizer.schedule.eta_max=0.02"),
    "adam": ("optimizer=adam_cyclic",),
    "dropout": ("model.dropout=[0.3,0.1]", "model.label_smoothing=0.1"),
    "augmentation": ("data.augmentation.flip=0.5", "data.augmentation.translate=0.5", "data.augmentation.reach=3"),
    "precise": ("model.bn.statistics=precise", "model.bn.precise_batches=6"),
    "adaptive, after": ("model.bn.statistics=adaptive", "model.bn.placement=after"),
    "float64 without BN": ("model=3layer", "dtype=float64"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_interrupted_twice_and_resumed_gives_the_same_bits(variant: str, cifar_root: Path, tmp_path: Path) -> None:
    settings = (*SMALL, *VARIANTS[variant])
    whole = trained(tmp_path / "whole", *settings)
    work = tmp_path / "work"
    folder = interrupted(work, 13, *settings)
    before = config_of(folder)
    with at_step(29, terminate):
        assert train_in(work, f"resume={folder}").status == 143
    assert (metrics_of(folder)["status"], metrics_of(folder)["steps"]) == ("interrupted", 29)
    resumed(work, folder)
    assert_same_run(folder, whole)
    assert config_of(folder) == before


@pytest.mark.parametrize("step", [0, 7, STEPS - 1])
def test_interrupted_at_the_edges(step: int, finished_run: Path, tmp_path: Path) -> None:
    folder = interrupted(tmp_path, step, *SMALL)
    resumed(tmp_path, folder)
    assert_same_run(folder, finished_run)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_process_stopped_from_outside(number: signal.Signals, finished_run: Path, tmp_path: Path) -> None:
    """A kill -9 loses what came after the last checkpoint (step 7 of 11), the others nothing."""
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), "11", *SMALL, OFTEN], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    (folder,) = run_folders(tmp_path)
    assert arrays_of(folder)["step"] == (7 if number == signal.SIGKILL else 11)
    resumed(tmp_path, folder)
    assert_same_run(folder, finished_run)


class _Crash(BaseException):
    pass


@pytest.mark.slow
def test_crash_at_any_write_is_made_good(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends when its n-th file has appeared, for every n; the resumed run is the uninterrupted one."""
    write, left, written = atomic.fsync_folder, [0], []

    def counted(folder: Path) -> None:
        write(folder)
        written.append(folder)
        left[0] -= 1
        if left[0] == 0:
            raise _Crash

    monkeypatch.setattr(atomic, "fsync_folder", counted)
    whole = trained(tmp_path / "whole", *SMALL, OFTEN, "evaluation.every_steps=20")
    n_writes = len(written)
    assert n_writes >= 2 + 2 * 3 + 2
    for n in range(1, n_writes + 1):
        work = tmp_path / str(n)
        work.mkdir()
        left[0] = n
        with pytest.raises(_Crash):
            train_in(work, *SMALL, OFTEN, "evaluation.every_steps=20")
        (folder,) = run_folders(work)
        left[0] = 0
        resumed(work, folder)
        assert_same_run(folder, whole)


def test_resuming_a_finished_run_changes_nothing(finished_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "a" / "b"
    shutil.copytree(finished_run, folder)
    before = file_hashes(folder)
    outcome = train_in(tmp_path, f"resume={folder}")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"{folder}: has ended already\n")
    assert f"{metrics_of(folder)['test_accuracy']:.2%} (one seed)" in outcome.out
    after = file_hashes(folder)
    assert {name for name in {**before, **after} if before.get(name) != after.get(name)} == set()


def test_resuming_a_diverged_run_changes_nothing(cifar_root: Path, tmp_path: Path) -> None:
    eta = ("optimizer.schedule.eta_min=1e6", "optimizer.schedule.eta_max=1e6")
    folder = trained(tmp_path, *SMALL, "model=3layer", *eta)
    before = file_hashes(folder) | {"train.log": ""}
    resumed(tmp_path, folder)
    assert file_hashes(folder) | {"train.log": ""} == before
    assert metrics_of(folder)["status"] == "diverged"


def test_the_manner_of_a_run_may_change(stopped: Path, finished_run: Path, cifar_root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "data"
    elsewhere.symlink_to(cifar_root)
    resumed(tmp_path, stopped, OFTEN, "progress=false", "plots=true", f"data.root={elsewhere}", "threads=2")
    assert metrics_of(stopped)["status"] == "finished"
    assert metrics_of(stopped)["val_loss"] == pytest.approx(metrics_of(finished_run)["val_loss"], rel=1e-4)
    assert (stopped / names.CURVES).is_file()



def test_relative_folder_and_awkward_name(finished_run: Path, tmp_path: Path) -> None:
    name = "it's, (a) study=1"
    folder = interrupted(tmp_path, 3, *SMALL, f'name="{name}"')
    assert folder.parent.name == name
    assert train_in(tmp_path, f"resume={folder.relative_to(tmp_path)}").status == 0
    assert_same_run(folder, finished_run)



def test_a_run_without_a_checkpoint_begins_again(stopped: Path, finished_run: Path, tmp_path: Path) -> None:
    (stopped / names.LAST).unlink()
    resumed(tmp_path, stopped)
    assert_same_run(stopped, finished_run)



def test_times_add_up(stopped: Path, tmp_path: Path) -> None:
    before = metrics_of(stopped)
    resumed(tmp_path, stopped)
    after = metrics_of(stopped)
    assert after["started"] == before["started"]
    assert after["seconds"] > before["seconds"]
    assert after["training_seconds"] > before["training_seconds"]
    assert len(history_of(stopped)) == len({row["step"] for row in history_of(stopped)})
