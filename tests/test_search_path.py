"""Hydra finds conf/, sweeps/ and a user's folder; help and completion show what can be chosen, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from entry_points import Outcome, call, composed, gradcheck_in, mistake, train_in
from hydra.core.object_type import ObjectType

from kls import train
from kls.config.project import project_root
from kls.config.search_path import FileConfigSource, ProjectSource
from kls.data.sources import SOURCES

SOURCE = ProjectSource("main", f"kls://{project_root()}")
OWN = {
    "model/mine.yaml": "# Mine, of one layer. With more to say.\ndefaults: [_base, _self_]\nhidden: [7]\n",
    "sweeps/ours.yaml": "# @package _global_\n# Ours: two values\n# of lam\nname: ours\n",
    "notes/a.yaml": "x: 1\n",
    ".venv/lib/config.yml": "x: 1\n",
    ".git/config": "[core]\n",
    "empty/readme.txt": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder for --config-dir, with other things in it."""
    for name, text in OWN.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def completed(cwd: Path, line: str) -> set[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMP_LINE", line)
        outcome = call(train.main, ("-sc", "query=bash"), cwd)
    assert (outcome.status, outcome.err) == (0, "")
    return set(outcome.out.split())


def test_groups_and_choices_of_the_project() -> None:
    assert SOURCE.list("", ObjectType.GROUP) == ["data", "model", "optimizer", "sweeps"]
    assert SOURCE.list("", ObjectType.CONFIG) == ["gradcheck", "train"]
    assert SOURCE.list("optimizer", ObjectType.GROUP) == ["schedule"]
    assert SOURCE.list("data", None) == list(SOURCES)
    assert set(SOURCE.list("sweeps", None)) == {path.stem for path in (project_root() / "sweeps").glob("*.yaml")}
    assert SOURCE.is_config("model/_base")  # for the other files of its group
    assert not SOURCE.is_group("study")
    assert not SOURCE.is_config("study/questions")


def test_a_users_folder_shows_no_hidden_ones(folder: Path) -> None:
    source = FileConfigSource("command-line", f"file://{folder}")
    assert source.list("", ObjectType.GROUP) == ["empty", "model", "notes", "sweeps"]
    assert source.list("model", None) == ["mine"]


def test_a_users_folder_adds_choices(folder: Path) -> None:
    outcome = train_in(folder, "--config-dir", ".", "model=mine", "--cfg", "job")
    assert outcome.status == 0
    assert "  hidden:\n  - 7\n" in outcome.out
    line = mistake(train_in(folder, "--config-dir", ".", "model=yours"))
    assert "there are 3layer, 3layer_bn, 7layer_bn, 7layer_wide_bn, 7layer_wider_bn, 9layer, 9layer_bn, mine; " in line


def test_the_search_path_holds_nothing_else(folder: Path) -> None:
    outcome = train_in(folder, "--info", "searchpath")
    rows = [line.split("|")[1:3] for line in outcome.out.splitlines() if line.startswith("|")]
    assert [(provider.strip(), path.strip()) for provider, path in rows[1:]] == [
        ("hydra", "pkg://hydra.conf"), ("main", f"kls://{project_root()}"), ("schema", "structured://"),
    ]  # fmt: skip


def section(outcome: Outcome, group: str) -> dict[str, str]:
    """The choices of a group on the page of --help, with their descriptions, lines joined."""
    assert (outcome.status, outcome.err) == (0, "")
    (text,) = [part for part in outcome.out.split("\n\n") if part.splitlines()[0].split(":")[0] == group]
    found: dict[str, str] = {}
    for line in text.splitlines()[1:]:
        if line[2] != " ":
            name, _, words = line.strip().partition("  ")
            found[name] = words.strip()
        else:
            found[name] += f" {line.strip()}"
    return found


def test_help_lists_every_choice_with_a_description(tmp_path: Path) -> None:
    outcome = train_in(tmp_path, "--help")
    for group in ("model", "optimizer", "optimizer/schedule", "data", "sweeps"):
        choices = section(outcome, group)
        assert list(choices) == SOURCE.list(group, ObjectType.CONFIG)
        assert all(len(words) > 10 for words in choices.values())
    assert section(outcome, "model")["3layer_bn"] == "3 layers, batch norm, He init (default)"
    assert (
        section(outcome, "data")["cifar10"] == "CIFAR-10 (Krizhevsky 2009), from data.root or downloaded there: 170 MB"
    )
    assert list(section(outcome, "hydra/launcher")) == ["population", "joblib", "basic"]
    assert "python -m kls.train --multirun sweeps=lambda_search" in outcome.out
    assert f"Each is explained in {project_root()}/conf/train.yaml." in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 120
    assert not {"_base", "study", "$"} & set(outcome.out.split())
    assert list(tmp_path.iterdir()) == []


def test_help_of_the_gradient_check(tmp_path: Path) -> None:
    outcome = gradcheck_in(tmp_path, "--help")
    assert outcome.out.startswith("Compare the analytic gradient of every parameter")
    assert list(section(outcome, "model")) == SOURCE.list("model", None)
    assert "conf/gradcheck.yaml and " in outcome.out
    assert "--multirun sweeps=lambda_search" not in outcome.out


def test_help_shows_a_users_own_choices(folder: Path) -> None:
    outcome = train_in(folder, "--help", "--config-dir", ".")
    assert section(outcome, "model")["mine"] == "Mine, of one layer"
    assert section(outcome, "sweeps")["ours"] == "Ours: two values of lam"
    assert section(outcome, "notes") == {"a": ""}
    assert not {"config", "empty", ".venv", ".git"} & set(outcome.out.split())
    assert mistake(train_in(folder, "--help", "--config-dir", "no")) == "--config-dir no: there is no such folder"


def test_completion_offers_what_can_be_chosen(folder: Path) -> None:
    settings = set(composed())
    offered = {word.rstrip(".=") for word in completed(folder, "kls-train ")}
    assert offered == settings | {"sweeps", "hydra"}
    assert completed(folder, "kls-train model=") == {f"model={name}" for name in SOURCE.list("model", None)}
    assert completed(folder, "kls-train sweeps=sm") == {"sweeps=smoke"}
    assert completed(folder, "kls-train hydra/sweeper=") == {"hydra/sweeper=staged"}


def test_completion_can_be_installed(tmp_path: Path) -> None:
    outcome = train_in(tmp_path, "-sc", "install=bash")
    assert outcome.status == 0
    assert outcome.out.strip().endswith("complete -o nospace -o default -F hydra_bash_completion kls-train")


def test_showing_settings_makes_no_folder(tmp_path: Path) -> None:
    for flags in (("--cfg", "all"), ("--cfg", "job", "--resolve"), ("--info",), ("--hydra-help",)):
        outcome = train_in(tmp_path, *flags)
        assert (outcome.status, outcome.err) == (0, "")
        assert len(outcome.out) > 500
    assert list(tmp_path.iterdir()) == []
