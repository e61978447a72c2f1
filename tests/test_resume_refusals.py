"""What cannot be resumed is refused in one line, and its folder left as it was."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from entry_points import (
    SMALL,
    arrays_of,
    assert_same_run,
    config_of,
    file_hashes,
    metrics_of,
    mistake,
    train_in,
)

from kls.records import names
from kls.records.lock import only_process


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("lam=0.1",), "lam: 0.005 -> 0.1"),
        (("seed=1",), "seed: 0 -> 1"),
        (("model.hidden=[20,11]", "model.bn.momentum=0.5"), None),
        (("optimizer.schedule.cycles=3",), "optimizer.schedule.cycles: 2 -> 3"),
        (("data.source=synthetic",), "data.source: cifar10 -> synthetic"),
        (("evaluation.test=false", "threads=2"), "evaluation.test: true -> false"),
    ],
)
def test_changed_settings_are_refused(
    arguments: tuple[str, ...], told: str | None, stopped: Path, tmp_path: Path
) -> None:
    before = file_hashes(tmp_path)
    line = mistake(train_in(tmp_path, f"resume={stopped}", *arguments))
    told = told or {
        "model.hidden=[20,11]": "model.hidden: [20, 10] -> [20, 11]; model.bn.momentum: 0.9 -> 0.5",
    }[arguments[0]]
    assert line == f"{stopped}: a run goes on with the settings it began with; changed: {told}"
    assert file_hashes(tmp_path) == before


def change_pictures(root: Path, target: Path) -> Path:
    """A data root in ``target`` in which the label of the first test picture is another."""
    target.mkdir()
    for path in (root / "cifar-10-batches-bin").iterdir():
        (target / path.name).symlink_to(path)
    content = np.fromfile(target / "test_batch.bin", np.uint8)
    content[0] = (content[0] + 1) % 10
    (target / "test_batch.bin").unlink()
    content.tofile(target / "test_batch.bin")
    return target


def test_changed_data_are_refused(stopped: Path, cifar_root: Path, tmp_path: Path) -> None:
    other = change_pictures(cifar_root, tmp_path / "other")
    before = file_hashes(stopped)
    line = mistake(train_in(tmp_path, f"resume={stopped}", f"data.root={other}"))
    fingerprint = metrics_of(stopped)["data_fingerprint"]
    assert line.startswith(f"{stopped}: data_fingerprint was {fingerprint} and is now ")
    assert fingerprint not in line.split(" is now ")[1]
    assert file_hashes(stopped) == before


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def forget_a_weight(path: Path) -> None:
    arrays = arrays_of(path.parent)
    del arrays["W2"]
    np.savez(path, **arrays)


def reshape_a_weight(path: Path) -> None:
    arrays = arrays_of(path.parent)
    arrays["W2"] = arrays["W2"][:, :3]
    np.savez(path, **arrays)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


REFUSED: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "no config": (names.CONFIG, Path.unlink, "{folder}: no run to go on with there, it has no config.yaml"),
    "a weight is missing": (names.LAST, forget_a_weight, "{path}: does not fit the run's settings (W2 is missing)"),
    "another shape": (
        names.LAST, reshape_a_weight,
        "{path}: does not fit the run's settings (W2 is float32 (20, 3) and should be float32 (20, 10))",
    ),
    "a link": (
        names.LOG, lambda path: (path.unlink(), path.symlink_to("/nowhere")),
        "{path}: is a link to /nowhere; a folder that is gone on with holds none",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", REFUSED)
def test_what_does_not_belong_together_is_refused_and_left_alone(damage: str, stopped: Path, tmp_path: Path) -> None:
    name, spoil, told = REFUSED[damage]
    spoil(stopped / name)
    before = file_hashes(tmp_path)
    line = mistake(train_in(tmp_path, f"resume={stopped}"))
    assert line.startswith(told.format(folder=stopped, path=stopped / name))
    assert file_hashes(tmp_path).items() >= before.items() - {("train.log", before.get("train.log"))}


@pytest.mark.parametrize("spoil", [cut, flip, empty])
@pytest.mark.parametrize("name", [names.CONFIG, names.LAST, names.BEST, names.METRICS, names.HISTORY])
def test_damaged_files_are_set_aside_and_their_work_is_done_again(
    name: str, spoil: Callable[[Path], Any], stopped: Path, finished_run: Path, tmp_path: Path
) -> None:
    spoil(stopped / name)
    damaged = (stopped / name).read_bytes()
    outcome = train_in(tmp_path, f"resume={stopped}")
    assert (outcome.status, outcome.err) == (0, "")
    assert_same_run(stopped, finished_run)
    assert (stopped / f"{name}.damaged").read_bytes() == damaged
    assert f"{stopped / name}: was damaged; set aside as {name}.damaged" in outcome.out


@pytest.mark.parametrize("name", [".hydra/overrides.yaml", names.HISTORY, names.METRICS, names.BEST, names.LAST])
def test_missing_files_are_made_again(name: str, stopped: Path, finished_run: Path, tmp_path: Path) -> None:
    (stopped / name).unlink()
    assert train_in(tmp_path, f"resume={stopped}").status == 0
    assert_same_run(stopped, finished_run)


def test_a_run_is_gone_on_with_by_one_process(stopped: Path, tmp_path: Path) -> None:
    before = file_hashes(tmp_path)
    with only_process(stopped):
        line = mistake(train_in(tmp_path, f"resume={stopped}"))
    assert line == f"{stopped}: another process is at work here; wait for it, or stop it first"
    after = file_hashes(tmp_path)
    assert {name for name in after if after[name] != before.get(name)} <= {f"{stopped.relative_to(tmp_path)}/.lock"}


@pytest.mark.parametrize("argument", ["model=3layer", "+x=1", "~lam", "hydra.run.dir=x", "--cfg", "lamda=1", "lam"])
def test_only_settings_stand_beside_resume(argument: str, stopped: Path, tmp_path: Path) -> None:
    line = mistake(train_in(tmp_path, f"resume={stopped}", argument))
    assert line == (
        f"{argument}: a run goes on with the settings it began with; beside resume=FOLDER stand only settings such as "
        "threads=2"
    )


def test_the_command_that_began_a_run_may_stand_again(stopped: Path, finished_run: Path, tmp_path: Path) -> None:
    assert train_in(tmp_path, *SMALL, f"resume={stopped}").status == 0
    assert_same_run(stopped, finished_run)


def test_a_sweep_is_gone_on_with_as_one(stopped: Path, tmp_path: Path) -> None:
    line = mistake(train_in(tmp_path, "-m", f"resume={stopped}"))
    assert line == f"{stopped}: is a run's folder; go on with it by resume={stopped}, without --multirun"
    (tmp_path / names.SWEEP).write_text("{}")
    line = mistake(train_in(tmp_path, f"resume={tmp_path}"))
    assert line == f"{tmp_path}: is a sweep's folder; go on with it by --multirun resume={tmp_path}"


def test_a_folder_says_nothing_about_where_data_are_read_from(stopped: Path, tmp_path: Path) -> None:
    """Caches and locks would be written there."""
    path = stopped / names.CONFIG
    recorded = config_of(stopped)["data"]["root"]
    text = path.read_text(encoding="utf-8").split("\n", 1)[1]
    path.write_text(text.replace(f"root: {recorded}", "root: /evil"), encoding="utf-8")
    line = mistake(train_in(tmp_path, f"resume={stopped}"))
    now = os.environ["KLS_DATA"]
    assert line == (
        f"{stopped}: its data were read from /evil, and would be read from {now} now; "
        f"say which by data.root='/evil' or data.root='{now}'"
    )
    assert train_in(tmp_path, f"resume={stopped}", f"data.root={now}").status == 0
    assert not Path("/evil").exists()
