"""Every command and every piece of Python in README.md and the pages of .readme/ does what it says, in small."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from slurm_cluster import slurm  # noqa: F401

from kls.config.project import project_root

PAGES = [project_root() / "README.md", *sorted((project_root() / ".readme").glob("*.md"))]
SMALL = (
    "optimizer.schedule.n_s=4", "optimizer.schedule.cycles=1", "data.n_train=120", "data.n_val=40", "data.n_test=40",
    "evaluation.n_train=40", "batch_size=20", "progress=false",
)  # fmt: skip
PLACE = re.compile(r"outputs/([a-z]\w+/)?(?:\d{4}-\d\d-\d\d/)?\d\d-\d\d-\d\d(/\w+/\d+)?")  # of a run, as an example

pytestmark = pytest.mark.slow


def blocks(kind: str) -> Iterator[tuple[Path, str]]:
    """Each block of code of a language: its page and its text, without the two that .ci/run takes as they stand."""
    for page in PAGES:
        text = re.sub(r"<!-- (?:run|test) -->\n```sh\n.*?\n```", "", page.read_text(encoding="utf-8"), flags=re.S)
        yield from ((page, found) for found in re.findall(rf"^```{kind}\n(.*?)\n```$", text, flags=re.S | re.M))


def commands() -> list[str]:
    lines = (line.split("  #")[0].strip() for _, block in blocks("sh") for line in block.splitlines())
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


@pytest.fixture(scope="module")
def folder(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands are run one after another, with the files that they name."""
    folder, rng = tmp_path_factory.mktemp("reader"), np.random.default_rng(0)
    y = np.arange(400) % 10
    x = rng.normal(8.0, 3.0, (400, 8, 8)) + y[:, None, None]
    np.savez(folder / "digits.npz", x_train=x, y_train=y)
    rows = [f"{a},{b},{'setosa' if a > b else 'virginica'}" for a, b in rng.normal(0.0, 1.0, (300, 2))]
    (folder / "measurements.csv").write_text("\n".join(["length,width,species", *rows]) + "\n")
    for _, text in blocks("yaml"):
        name = re.search(r"^# (my/\S+\.yaml)$", text, flags=re.M)
        assert name, f"which file this is should stand in it: {text}"
        (folder / name[1]).parent.mkdir(parents=True, exist_ok=True)
        (folder / name[1]).write_text(text + "\n")
    return folder


def run_of(folder: Path, place: re.Match[str]) -> str:
    """The first run that an earlier command left in a place such as outputs/2026-11-20/12-00-00."""
    name, trial = place.groups(default="")
    found = [path.parent for path in folder.glob(f"outputs/{name}**/metrics.json")]
    return min(path.relative_to(folder).as_posix() for path in found if path.as_posix().endswith(trial))


def small(line: str, folder: Path) -> list[str]:
    """The words of a command, with what makes it small."""
    words = shlex.split(PLACE.sub(partial(run_of, folder), line))
    words = words[2:] if words[:2] == ["python", "-m"] else words
    assert words[0] == "kls" or words[0].startswith("kls."), line
    name, *rest = words[1:] if words[0] == "kls" else [words[0].removeprefix("kls."), *words[1:]]
    if name in ("train", "sweep", "gradcheck") and not any(word.startswith("resume=") for word in rest):
        rest += [override for override in SMALL if name != "gradcheck"]
    if name == "study":
        rest += [] if "--smoke" in rest else ["--dry-run"]
    if name == "bench":
        rest += ["--quick", "--only", "3layer_bn", "--peers", "none"]
    return [name, *rest]


@pytest.mark.parametrize("line", commands())
def test_a_command(line: str, folder: Path, request: pytest.FixtureRequest) -> None:
    if "engine=slurm" in line:
        request.getfixturevalue("slurm")
    if "engine=ray" in line:
        pytest.importorskip("ray")
    command = [sys.executable, "-m", "kls", *small(line, folder)]
    environment = {**os.environ, "PYTHONPATH": str(project_root()), "KLS_CONFIG_DIR": ""}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=590)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("text", [text for _, text in blocks("python")])
def test_python(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    x = np.load("digits.npz")["x_train"]
    names = {"x": x, "y": np.load("digits.npz")["y_train"]}
    exec(compile(PLACE.sub(partial(run_of, folder), text), "page", "exec"), names)
    if "labels" in names:
        assert len(names["labels"]) == len(x)


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
