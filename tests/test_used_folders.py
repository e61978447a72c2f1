"""A run takes nothing that was there before: it removes only what its own process made, and overwrites no other run."""

from __future__ import annotations

from pathlib import Path

import pytest
from entry_points import SMALL, config_of, file_hashes, gradcheck_in, metrics_of, mistake, python, train_in

PROJECT = {
    ".git/HEAD": "ref: refs/heads/main\n", "src/code.py": "print()\n", "README": "mine\n", "outputs/notes.txt": "n",
}  # fmt: skip
NOWHERE = ("data=cifar10", "data.root=../nowhere", "data.download=false")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a user's work, in which no run has been."""
    root = tmp_path / "project"
    for name, text in PROJECT.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "outputs/empty").mkdir()
    return root


def contents(folder: Path) -> tuple[list[Path], dict[str, str]]:
    return sorted(folder.rglob("*")), file_hashes(folder)


@pytest.mark.parametrize(
    "arguments",
    [
        ("hydra.run.dir=.", "lam=-1"),
        ("hydra.run.dir=.", *NOWHERE),
        ("hydra.run.dir=outputs/empty", *NOWHERE),
        ("hydra.run.dir=outputs/new/er", *NOWHERE),
        ("name=empty", *NOWHERE),
        ("hydra.run.dir=.", "hydra.output_subdir=src", *NOWHERE),
    ],
)
@pytest.mark.slow
def test_a_run_that_fails_leaves_a_users_folder_as_it_was(arguments: tuple[str, ...], project: Path) -> None:
    before = contents(project)
    outcome = python(project, "-m", "kls.train", *arguments)
    assert mistake(outcome).startswith(("lam=-1: ", "CIFAR-10 is not in "))
    assert contents(project) == before


def test_a_gradient_check_that_fails_leaves_a_users_folder_as_it_was(project: Path) -> None:
    before = contents(project)
    assert mistake(gradcheck_in(project, "hydra.run.dir=.", *NOWHERE)).startswith("CIFAR-10 is not in ")
    assert contents(project) == before


def test_a_run_in_a_users_folder_adds_its_files_alone(project: Path, cifar_root: Path) -> None:
    before = file_hashes(project)
    assert train_in(project, *SMALL, "hydra.run.dir=.").status == 0
    after = file_hashes(project)
    assert {name: after[name] for name in before} == before
    assert {"config.yaml", "metrics.json", "last.npz", ".hydra/overrides.yaml", "train.log"} <= set(after)


TAKEN = (
    "X: has {} already, which a run would overwrite; take another folder, or go on with what is there by resume=X"
)


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path, cifar_root: Path) -> None:
    first, second = ("seed=1", "lam=0.001"), ("seed=7", "lam=0.1")
    assert train_in(tmp_path, *SMALL, "hydra.run.dir=X", *first).status == 0
    before = file_hashes(tmp_path)
    line = mistake(train_in(tmp_path, *SMALL, "hydra.run.dir=X", *second))
    assert line == TAKEN.format("config.yaml")
    assert file_hashes(tmp_path) == before
    assert (config_of(tmp_path / "X")["lam"], metrics_of(tmp_path / "X")["status"]) == (0.001, "finished")


@pytest.mark.parametrize(
    "name",
    ["metrics.json", "history.csv", "last.npz", "best.npz", "snapshot-3.npz", "previous.npz", "inputs.npz",
     "sweep.json", "study.db", "curves.png", "weights.png", "gradients.csv", ".hydra/config.yaml",
     ".hydra/hydra.yaml", "train.log"],
)  # fmt: skip
def test_a_folder_with_any_file_of_a_run_is_refused(name: str, tmp_path: Path, cifar_root: Path) -> None:
    file = tmp_path / "X" / name
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    line = mistake(train_in(tmp_path, *SMALL, "hydra.run.dir=X"))
    assert line == TAKEN.format(name)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]
    assert file.read_text() == "mine"


def test_records_are_not_written_over_files_of_that_name(tmp_path: Path, cifar_root: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.yaml").write_text("mine")
    line = mistake(train_in(tmp_path, *SMALL, "hydra.run.dir=.", "hydra.output_subdir=conf"))
    assert line.startswith(".: has conf/config.yaml already, ")
    assert (tmp_path / "conf/config.yaml").read_text() == "mine"


def test_a_gradient_check_can_be_made_again_but_no_other_in_its_place(tmp_path: Path, cifar_root: Path) -> None:
    check = (*SMALL, "gradcheck.pictures=3", "gradcheck.dimensions=4", "hydra.run.dir=X")
    assert gradcheck_in(tmp_path, *check).status == 0
    before = file_hashes(tmp_path)["X/gradients.csv"]
    (tmp_path / "X/.hydra/overrides.yaml").write_text("")  # a kill came before it was written
    assert gradcheck_in(tmp_path, *check).status == 0
    assert file_hashes(tmp_path)["X/gradients.csv"] == before
    assert mistake(gradcheck_in(tmp_path, *check, "seed=1")) == TAKEN.format("gradients.csv")
    assert "already, which a run would overwrite" in mistake(train_in(tmp_path, *SMALL, "hydra.run.dir=X"))
    assert file_hashes(tmp_path)["X/gradients.csv"] == before
