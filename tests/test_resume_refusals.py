"""What cannot be resumed is refused in one line, and its folder left as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from entry_points import SMALL, arrays_of, file_hashes, metrics_of, mistake, train_in

from kls.records import names
from kls.resume import resume_arguments


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("lam=0.1",), "lam: 0.005 -> 0.1"),
        (("seed=1",), "seed: 0 -> 1; order_seed: 0 -> 1"),
        (("model.hidden=[20,11]", "model.bn.momentum=0.5"), None),
        (("optimizer.schedule.cycles=3",), "optimizer.schedule.cycles: 2 -> 3"),
        (("model=3layer",), None),
        (("data=synthetic",), "data.source: cifar10 -> synthetic"),
        (("evaluation.test=false", "threads=2"), "evaluation.test: true -> false"),
    ],
)
def test_changed_settings_are_refused(
    arguments: tuple[str, ...], told: str | None, stopped: Path, tmp_path: Path
) -> None:
    before = file_hashes(tmp_path)
    line = mistake(train_in(tmp_path, f"resume={stopped}", *arguments))
    told = told or {
        "model=3layer": "model.bn.enabled: true -> false; model.init.scheme: he -> xavier",
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


DAMAGES: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "no config": (names.CONFIG, Path.unlink, "{folder}: no run to go on with there, it has no config.yaml"),
    "no command": (
        ".hydra/overrides.yaml", Path.unlink,
        "{folder}: .hydra/overrides.yaml is missing, so the run's command is not known",
    ),
    "damaged command": (
        ".hydra/overrides.yaml", lambda path: path.write_text("- [1"), "{path}: is damaged, so the run's command is",
    ),
    "damaged config": (names.CONFIG, lambda path: path.write_text("a: [1"), "{path}: not valid YAML ("),
    "cut checkpoint": (names.LAST, cut, "{path}: cannot be read as a checkpoint ("),
    "a weight is missing": (names.LAST, forget_a_weight, "{path}: does not fit the run's settings ('W2')"),
    "another shape": (names.LAST, reshape_a_weight, "{path}: does not fit the run's settings (could not broadcast"),
    "no history": (names.HISTORY, Path.unlink, "{path}: cannot be read as a history ("),
    "cut history": (names.HISTORY, cut, "{path}: cannot be read as a history ("),
    "damaged metrics": (names.METRICS, cut, "{path}: not valid JSON ("),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_folders_are_told_in_one_line_and_left_alone(damage: str, stopped: Path, tmp_path: Path) -> None:
    name, spoil, told = DAMAGES[damage]
    spoil(stopped / name)
    before = file_hashes(tmp_path)
    line = mistake(train_in(tmp_path, f"resume={stopped}"))
    assert line.startswith(told.format(folder=stopped, path=stopped / name))
    assert file_hashes(tmp_path) == before


def test_arguments_of_a_resumed_run(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = yaml.safe_load((stopped / ".hydra" / "overrides.yaml").read_text(encoding="utf-8"))
    assert saved == list(SMALL)
    place = [f"resume='{stopped}'", f"hydra.run.dir='{stopped}'", "hydra.output_subdir=null"]
    assert resume_arguments([f"resume={stopped}", "threads=2"]) == [*SMALL, "threads=2", *place]
    assert resume_arguments(["lam=1", "resume=null"]) == ["lam=1", "resume=null"]
    assert resume_arguments(["lam=1"]) == ["lam=1"]
    monkeypatch.setenv("HOME", str(stopped.parent))
    assert resume_arguments([f"resume=~/{stopped.name}"])[-3:] == place
