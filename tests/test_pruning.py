"""Populations whose members are dropped when they fall behind: who, when, what is recorded, and after a cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from entry_points import DATA, UNLIKE, arrays_of, assert_same_run, composed, history_of, metrics_of
from helpers import largest_difference
from interrupted_training import at_step, terminate
from trained_populations import errors_of

from kls.config.settings import Settings
from kls.config.validation import validate
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.training.populations import populations
from kls.training.pruning import behind_median, behind_top_share
from kls.training.session import Job

# 12 steps are an epoch, 20 a cycle; there are 5 cycles.
COMMON = (
    *DATA, "dtype=float64", "model.hidden=[8]", "batch_size=50", "evaluation.n_train=200", "evaluation.test=false",
    "optimizer.schedule.n_s=10", "optimizer.schedule.cycles=5", "plots=false", "checkpoint_seconds=0",
)  # fmt: skip
STEPS, EVERY = 100, 25
LAMS = (1e-4, 1.0, 0.1, 1e-3, 0.3, 0.01, 0.03, 0.6, 2.0)
EVALUATED = f"evaluation.every_steps={EVERY}"
RULES: dict[str, tuple[str, ...]] = {
    "never": ("evaluation.every_steps=4",),
    "median": (EVALUATED, "pruning.rule=median", "pruning.n_startup=2", "pruning.n_warmup=1"),
    "halving": (EVALUATED, "pruning.rule=halving"),
    "epochs": (EVALUATED, "pruning.rule=median", "pruning.n_startup=3", "pruning.at=epoch"),
}
PERIODS = {"median": 20, "halving": 20, "epochs": 12}


class Killed(BaseException):
    """Ends a training at once, as kill -9 does."""


@pytest.fixture(scope="module")
def settings(cifar_root: Path) -> dict[str, list[Settings]]:
    """Those of the members of a population, for each rule."""
    found = {rule: composed(*COMMON, *given) for rule, given in RULES.items()}
    return {rule: [validate(config | {"lam": lam}) for lam in LAMS] for rule, config in found.items()}


@pytest.fixture(scope="module")
def trained(settings: dict[str, list[Settings]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folder of a population for each rule, trained in one go."""
    found = {rule: tmp_path_factory.mktemp(rule) for rule in RULES}
    for rule, parent in found.items():
        go_on(settings[rule], parent)
    return found


def go_on(members: list[Settings], parent: Path, processes: int = 1) -> None:
    """Train all that have not ended, as a sweep does that goes on."""
    jobs = []
    for member, folder in zip(members, folders(parent), strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        if not RunFolder(folder).ended:
            jobs.append(Job(member, folder))
    if jobs:
        assert errors_of(populations(jobs, parent, processes, 40)) == {}


def folders(parent: Path) -> list[Path]:
    return [parent / str(i) for i in range(len(LAMS))]


def ends(parent: Path) -> list[tuple[str, int]]:
    """Status and steps of every member."""
    found = [metrics_of(folder) for folder in folders(parent)]
    return [(metrics[names.STATUS], metrics["steps"]) for metrics in found]


def expected_ends(unpruned: Path, rule: str) -> list[tuple[str, int]]:
    """What a rule makes of the histories of a population that is not pruned."""
    scores = [{row["step"]: row["val_accuracy"] for row in history_of(folder)} for folder in folders(unpruned)]
    period, left, found = PERIODS[rule], list(range(len(LAMS))), [(names.FINISHED, STEPS)] * len(LAMS)
    for step in range(period, STEPS, period):
        reports = np.array([[scores[i][s] for s in range(period, step + 1, period)] for i in left])
        if rule == "halving":
            behind = behind_top_share(reports, 1, 2)
        else:
            behind = behind_median(reports, *((2, 1) if rule == "median" else (3, 0)))
        for i in [i for i, is_behind in zip(left, behind, strict=True) if is_behind]:
            left.remove(i)
            found[i] = (names.PRUNED, step)
    return found


@pytest.mark.parametrize("rule", PERIODS)
def test_those_that_the_rule_names_are_dropped_then(trained: dict[str, Path], rule: str) -> None:
    found = ends(trained[rule])
    assert found == expected_ends(trained["never"], rule)
    dropped = [steps for status, steps in found if status == names.PRUNED]
    assert len(dropped) < len(LAMS)
    assert len(set(dropped)) >= 2


@pytest.mark.parametrize("rule", PERIODS)
def test_the_others_train_as_if_nobody_had_been_dropped(trained: dict[str, Path], rule: str) -> None:
    for folder, whole, (_, steps) in zip(
        folders(trained[rule]), folders(trained["never"]), ends(trained[rule]), strict=True
    ):
        if steps == STEPS:
            got, expected = (
                {name: value for name, value in arrays_of(run).items() if name not in ("history", *UNLIKE)}
                for run in (folder, whole)
            )
            assert largest_difference(got, expected) < 1e-10
            metrics, others = metrics_of(folder), metrics_of(whole)
            for key in ("train_loss", "train_accuracy", "val_loss", "val_cost", "val_accuracy"):
                assert metrics[key] == pytest.approx(others[key], rel=1e-10)


@pytest.mark.parametrize("rule", PERIODS)
def test_networks_are_evaluated_where_they_are_judged_too(trained: dict[str, Path], rule: str) -> None:
    wanted = {0, *range(EVERY, STEPS + 1, EVERY), *range(PERIODS[rule], STEPS + 1, PERIODS[rule]), STEPS}
    for folder, (_, end) in zip(folders(trained[rule]), ends(trained[rule]), strict=True):
        assert [row["step"] for row in history_of(folder)] == sorted(step for step in wanted if step <= end)


def test_the_record_of_a_pruned_run(trained: dict[str, Path], settings: dict[str, list[Settings]]) -> None:
    for folder, (status, steps) in zip(folders(trained["halving"]), ends(trained["halving"]), strict=True):
        metrics, last = metrics_of(folder), history_of(folder)[-1]
        assert metrics["population"] == len(LAMS)
        if status != names.PRUNED:
            assert metrics[names.MESSAGE] is None
            continue
        assert metrics[names.MESSAGE] == f"fell behind the others by the rule halving at step {steps}"
        assert {key: metrics[key] for key in ("val_loss", "val_cost", "val_accuracy")} == {
            key: last[key] for key in ("val_loss", "val_cost", "val_accuracy")
        }
        assert not {"train_accuracy", "test_accuracy"} & metrics.keys()
        assert arrays_of(folder)["step"] == last["step"] == steps
        assert arrays_of(folder, names.BEST)["step"] == metrics[names.BEST_STEP]


@pytest.mark.parametrize("step", [30, 40, 41])
def test_a_training_that_is_stopped_and_goes_on(
    step: int, settings: dict[str, list[Settings]], trained: dict[str, Path], tmp_path: Path
) -> None:
    """At the end of a cycle, in the middle of one, and just behind a judgement: the same to the last bit."""
    with at_step(step, terminate), pytest.raises(KeyboardInterrupt):
        go_on(settings["median"], tmp_path)
    assert {end for end in ends(tmp_path) if end[0] != names.PRUNED} == {(names.INTERRUPTED, step)}
    go_on(settings["median"], tmp_path, processes=2)
    for folder, other in zip(folders(tmp_path), folders(trained["median"]), strict=True):
        assert_same_run(folder, other)


@contextmanager
def writes(before: Callable[[int], None]) -> Iterator[None]:
    """Call ``before`` with its number before each file that is written."""
    count = 0

    def counted(write: Any) -> Any:
        def wrapper(*args: Any) -> None:
            nonlocal count
            count += 1
            before(count)
            write(*args)

        return wrapper

    with pytest.MonkeyPatch.context() as patch:
        for name in ("write_config", "write_metrics", "write_history", "write_checkpoint"):
            patch.setattr(RunFolder, name, counted(getattr(RunFolder, name)))
        yield


@pytest.mark.slow
def test_a_training_that_is_killed_between_any_two_files(
    settings: dict[str, list[Settings]], trained: dict[str, Path], tmp_path: Path
) -> None:
    """All go on from the newest step that all have a checkpoint of, and meet the same verdicts."""

    def kill(number: int, at: int) -> None:
        if number == at:
            raise Killed

    numbers = [0]
    with writes(numbers.append):
        go_on(settings["halving"], tmp_path / "whole")
    for at in range(1, max(numbers) + 1, 11):
        parent = tmp_path / str(at)
        with writes(lambda number, at=at: kill(number, at)), pytest.raises(Killed):  # type: ignore[misc]
            go_on(settings["halving"], parent)
        go_on(settings["halving"], parent, processes=2)
        assert ends(parent) == ends(trained["halving"])
        for folder, other in zip(folders(parent), folders(trained["halving"]), strict=True):
            assert_same_run(folder, other)


def test_two_populations_are_judged_each_by_itself(settings: dict[str, list[Settings]], tmp_path: Path) -> None:
    go_on(settings["halving"], tmp_path, processes=2)
    parts = [{i for i in range(len(LAMS)) if i % 2 == n} for n in (0, 1)]
    for part in parts:
        assert {metrics_of(tmp_path / str(i))["population"] for i in part} == {len(part)}
        assert len([i for i in part if metrics_of(tmp_path / str(i))[names.STATUS] == names.FINISHED]) == 1
    assert len([end for end in ends(tmp_path) if end == (names.FINISHED, STEPS)]) == 2


def test_a_network_alone_is_never_pruned(settings: dict[str, list[Settings]], tmp_path: Path) -> None:
    for member, folder in zip(settings["halving"][:2], folders(tmp_path), strict=False):
        folder.mkdir()
        assert errors_of([[Job(member, folder)]]) == {}
        assert metrics_of(folder)[names.STATUS] == names.FINISHED

