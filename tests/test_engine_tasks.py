"""What becomes of tasks that end well, fail, are lost or never begin, whatever the engine."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from kls.engines.tasks import MOST_IN_VAIN, Errors, LostError, Population, train_populations
from kls.errors import UserError
from kls.records.lock import only_process
from kls.training.session import Job


class Scripted:
    """An engine whose tasks end as told, one after the other; those that `has_begun` says hold their lock."""

    slots, timeout = 2, 60.0

    def __init__(self, *ends: Errors | Exception, has_begun: Sequence[bool] = ()) -> None:
        self.ends, self.has_begun = list(ends), list(has_begun)
        self.submitted: list[list[str]] = []
        self.stopped: list[int] = []
        self.folders: list[Path] = []
        self.held = ExitStack()

    def submit(self, populations: Sequence[Population]) -> list[int]:
        self.held.close()
        self.submitted.append([population[0].folder.name for population in populations])
        self.folders += [population[0].folder for population in populations]
        return list(range(len(self.folders) - len(populations), len(self.folders)))

    def wait(self, tasks: Collection[int], seconds: float) -> Collection[int]:
        return [min(tasks)]

    def result(self, task: int) -> Errors:
        if self.has_begun and self.has_begun.pop(0):
            self.held.enter_context(only_process(self.folders[task]))
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    def kill(self, task: int) -> None:
        raise AssertionError

    def stop(self, tasks: Collection[int]) -> None:
        self.stopped = sorted(tasks)


@pytest.fixture
def populations(tmp_path: Path) -> list[list[Job]]:
    for name in "abc":
        (tmp_path / name).mkdir()
    return [[Job(None, tmp_path / name)] for name in "abc"]  # type: ignore[arg-type]


def ended(engine: Scripted, populations: Sequence[Population], retries: int = 3, failures: int = 9) -> dict[str, str]:
    """Names and errors of the populations that ended; more than so many failures end all."""
    found: dict[str, str] = {}

    def on_end(population: Population, errors: Errors) -> bool:
        found[population[0].folder.name] = "".join(map(str, errors.values()))
        return sum(map(bool, found.values())) <= failures

    train_populations(engine, populations, retries, on_end)
    return found


def test_an_error_of_a_run_is_told_and_the_others_go_on(populations: list[list[Job]]) -> None:
    engine = Scripted({}, {populations[1][0].folder: ValueError("wrong")}, {})
    assert ended(engine, populations) == {"a": "", "b": "wrong", "c": ""}
    assert (engine.submitted, engine.stopped) == ([["a", "b", "c"]], [])


def test_too_many_failures_stop_the_rest(populations: list[list[Job]]) -> None:
    engine = Scripted({populations[0][0].folder: ValueError("wrong")})
    assert ended(engine, populations, failures=0) == {"a": "wrong"}
    assert engine.stopped == [1, 2]


@pytest.mark.parametrize("error", [OSError(28, "No space left"), MemoryError()])
def test_what_is_no_run_s_own_fault_stops_all(error: Exception, populations: list[list[Job]]) -> None:
    engine = Scripted({}, {populations[1][0].folder: error})
    with pytest.raises(type(error)):
        ended(engine, populations)
    assert engine.stopped == [2]


def test_a_lost_task_is_tried_again_so_often(
    populations: list[list[Job]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    engine = Scripted(*[LostError("gone")] * 3, has_begun=[True] * 3)
    assert ended(engine, populations[:1], retries=2) == {"a": "gone"}
    assert engine.submitted == [["a"]] * 3
    assert [record.getMessage() for record in caplog.records] == [
        f"{populations[0][0].folder}: its task was lost (gone); it goes on in another"
    ] * 2


def test_what_never_begins_is_given_up(populations: list[list[Job]]) -> None:
    """As where a node cannot find Python, or a worker is killed while it loads. What began once is tried on."""
    engine = Scripted(*[LostError("gone")] * 99, has_begun=[False] * (MOST_IN_VAIN - 1) + [True] + [False] * 99)
    line = f"{populations[0][0].folder}: gone; nothing has begun in the last {MOST_IN_VAIN} tries"
    with pytest.raises(UserError, match=f"^{re.escape(line)}$"):
        ended(engine, populations[:1], retries=1)
    assert len(engine.submitted) == 2 * MOST_IN_VAIN


def test_those_that_end_show_that_tasks_can_begin(populations: list[list[Job]]) -> None:
    engine = Scripted(*[LostError("gone")] * (MOST_IN_VAIN - 1), {}, *[LostError("gone")] * (MOST_IN_VAIN - 1), {})
    assert ended(engine, populations[:2], retries=0) == {"a": "", "b": ""}
