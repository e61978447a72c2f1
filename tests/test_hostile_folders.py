"""Nothing in a folder that somebody sent runs code, is written outside it, or is obeyed where it leads elsewhere."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from entry_points import call
from hostile_payloads import SECRET, Payload, Target, write_module
from hostile_tables import IN_A_RUN, IN_A_STUDY, IN_A_SWEEP
from interrupted_training import at_step, terminate
from limited_calls import TookTooLong, limited, wrong_with
from small_sweeps import ALONE, TINY, stages_argument, sweep_in

from kls import aggregate, evaluate, train
from kls.data.sources import synthetic
from kls.report import __main__ as report
from kls.study import __main__ as study

pytestmark = pytest.mark.slow

tried: list[str] = []

READERS: dict[str, Callable[[Path, Path], tuple[Callable[[], None], tuple[str, ...]]]] = {
    "evaluate": lambda folder, out: (evaluate.main, (str(folder),)),
    "aggregate": lambda folder, out: (aggregate.main, (str(folder), "--out", str(out), "--curves=1")),
    "evaluate-best": lambda folder, out: (evaluate.main, (str(folder), "--checkpoint=best")),
    "report": lambda folder, out: (report.main, (str(folder), "--out", str(out))),
}
OF_RUNS = READERS | {
    "resume": lambda folder, out: (train.main, (f"resume={folder}", "threads=2")),
    "rerun": lambda folder, out: (train.main, (f"--experimental-rerun={folder}",)),
    "resume-sweep": lambda folder, out: (train.main, ("--multirun", f"resume={folder}")),
}
OF_SWEEPS = READERS | {
    "resume": lambda folder, out: (train.main, ("--multirun", f"resume={folder}", ALONE)),
    "resume-run": lambda folder, out: (train.main, (f"resume={folder / 'a' / '0'}",)),
    "evaluate": lambda folder, out: (evaluate.main, (str(folder / "a" / "0"),)),
    "evaluate-best": lambda folder, out: (evaluate.main, (str(folder / "b" / "0"), "--checkpoint=best")),
}


def some(payloads: dict[str, Payload], commands: Sequence[str], always: str) -> list[tuple[str, str]]:
    """Each payload with one command, and every third also with another, by turns."""
    others = [command for command in commands if command != always]
    by_turns = [(name, others[i % len(others)]) for i, name in enumerate(list(payloads)[::3])]
    return [(name, always) for name in payloads] + by_turns


@pytest.fixture(scope="module")
def stopped_sweep(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two stages that was stopped in its second."""
    cwd = tmp_path_factory.mktemp("stopped_sweep")
    stages = stages_argument(
        "name:a,sampler:grid,params:{lam:{values:[0.01,0.1]}}",
        "name:b,confirm:{from:a,seeds:2},budget:['optimizer.schedule.cycles=2']",
    )
    with at_step(18, terminate):
        outcome = sweep_in(cwd, *TINY, ALONE, "model.hidden=[4]", "hydra.sweep.dir=sweep", stages)
    assert outcome.status in (130, 143), outcome.err
    assert (cwd / "sweep" / "b" / "0" / "last.npz").is_file()
    return cwd / "sweep"


@pytest.fixture
def target(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Target:
    """What is attacked, with a module and a configuration that an attack could load; no pictures are made."""
    work, outside = tmp_path / "work", tmp_path / "outside"
    (outside / "hostile").mkdir(parents=True)
    work.mkdir()
    found = Target(tmp_path / "marker", tmp_path / "victim.txt", outside)
    found.victim.write_text("precious\n" * 100)
    (outside / "hostile" / "evil.yaml").write_text(
        "# @package _global_\nhydra: {callbacks: {x: {_target_: pay.Run}}}\nlam: 0.5\n"
    )
    write_module(work, found)
    monkeypatch.syspath_prepend(work)
    monkeypatch.setenv("HOSTILE_SECRET", SECRET)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 256, (n, 3072), dtype=np.uint8) for n in (1000, 200)]
    made = parts[0], parts[0][:, 0] % 10, parts[1], parts[1][:, 0] % 10
    monkeypatch.setattr(synthetic, "make_pictures", lambda *_: made)
    return found


@pytest.fixture(scope="module", autouse=True)
def _count() -> Iterator[None]:
    yield
    print(f"\n{len(tried)} hostile folders tried, {len(set(tried))} of them different")


def attack(
    folder: Path, target: Target, payload: Payload, name: str, main: Callable[[], None], args: Sequence[str]
) -> None:
    """Call a command on the folder with a payload in it; nothing outside the folder and work/out may change."""
    payload(folder, target)
    out, top = target.marker.parent / "work" / "out", target.marker.parent
    before = state_of(top, (folder, out))
    tried.append(name)
    try:
        with limited():
            outcome = call(main, tuple(args), top / "work")
    except TookTooLong as error:
        pytest.fail(str(error))
    finally:
        sys.modules.pop("pay", None)
    after = state_of(top, (folder, out))
    assert not target.marker.exists()
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == set()
    assert wrong_with(outcome) == []
    told = [outcome.out, outcome.err] + [text_of(path) for path in files_in(folder) + files_in(out)]
    assert [text[:500] for text in told if SECRET in text] == []


def state_of(top: Path, but: tuple[Path, ...]) -> dict[str, str]:
    """Every file, folder and link below ``top`` that is not in ``but``, with what it holds."""
    found = {}
    for at, folders, files in os.walk(top):
        folders[:] = [name for name in folders if Path(at, name) not in but and name != "__pycache__"]
        for name in folders + files:
            path = Path(at, name)
            found[str(path)] = (
                str(path.readlink()) if path.is_symlink() else digest(path) if path.is_file() else "other"
            )
    return found


def files_in(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and not p.is_symlink() and p.suffix not in (".npz", ".png")]


def text_of(path: Path) -> str:
    return path.read_bytes()[: 2**20].decode("utf-8", "replace")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_to_attack(source: Path, target: Target) -> Path:
    """A copy of the folder below work/, and nothing left of one that is already beside the target."""
    folder = Path(shutil.copytree(source, target.marker.parent / "work" / "outputs" / "day" / "time"))
    if target.marker.parent in source.parents:
        shutil.rmtree(source)
    return folder


@pytest.mark.parametrize(("name", "command"), some(IN_A_RUN, list(OF_RUNS), "resume"))
def test_runs(name: str, command: str, stopped: Path, target: Target) -> None:
    folder = run_to_attack(stopped, target)
    main, arguments = OF_RUNS[command](folder, target.marker.parent / "work" / "out")
    attack(folder, target, IN_A_RUN[name], f"run {name} {command}", main, arguments)


@pytest.mark.parametrize(("name", "command"), some(IN_A_SWEEP, list(OF_SWEEPS), "resume"))
def test_sweeps(name: str, command: str, stopped_sweep: Path, target: Target) -> None:
    folder = run_to_attack(stopped_sweep, target)
    main, arguments = OF_SWEEPS[command](folder, target.marker.parent / "work" / "out")
    attack(folder, target, IN_A_SWEEP[name], f"sweep {name} {command}", main, arguments)


@pytest.mark.parametrize("name", IN_A_STUDY)
def test_studies(name: str, stopped_sweep: Path, target: Target) -> None:
    work = target.marker.parent / "work"
    folder = Path(shutil.copytree(stopped_sweep, work / "out" / "steps" / "mine"))
    IN_A_SWEEP["overrides-callback"](folder, target)
    study_file = work / "study"
    study_file.mkdir()
    arguments = (str(study_file / "study.yaml"), "--out", str(work / "out"), "--dry-run")
    attack(study_file, target, IN_A_STUDY[name], f"study {name}", study.main, arguments)
