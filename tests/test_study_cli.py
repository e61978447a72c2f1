"""What kls.study says of studies, of what it would run, and of how far it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from entry_points import call, mistake

from kls import study as entry
from kls.config.project import project_root
from kls.records import names
from kls.studies import catalogue, progress
from kls.studies.plan import Task, Wish, plan
from kls.studies.progress import StudiesProgress, told_time

LISTED = """\
course_e: batch norm at a large lambda, and a longer final training

How does the loss of 3 and 9 layers fall with batch norm and without, which lambda between 1e-5 and 1e-1 is
best for 3 layers with batch norm, what does it give after four cycles, and which initial standard deviations
let 9 layers learn?

step         holds              what
gradients    2 gradient checks  Sums of numerical and analytic gradients and of their relative errors, 2 and 3
                                layers with batch norm.
networks     12 runs            3 and 9 layers, with batch norm and without, at lambda 0.05 for two cycles;
                                published as loss curves.
search       45 runs            20 lambdas for two cycles, 20 in a narrower interval for three, the best again
                                for four.
final        5 runs             The 3-layer network with batch norm at the lambda that the study found,
                                0.00723267, for four cycles.
sensitivity  18 runs            9 layers from normal initial weights of three standard deviations; published as
                                loss curves.

80 runs; 7 published figures:

coarse search, best (1.1e-5)      val accuracy   52.10 %
coarse search, second (3.9e-5)    val accuracy   50.70 %
coarse search, third (8.0e-5)     val accuracy   50.30 %
fine search, best (0.00723)       val accuracy   53.90 %
fine search, second (0.00597)     val accuracy   53.70 %
fine search, third (0.00466)      val accuracy   53.66 %
four cycles at lambda 0.00723267  test accuracy  53.44 %
"""


def test_the_list_of_one_study(tmp_path: Path) -> None:
    outcome = call(entry.main, ("--list", "course_e"), tmp_path)
    assert (outcome.status, outcome.err, outcome.out) == (0, "", LISTED)
    assert list(tmp_path.iterdir()) == []


def test_the_list_of_all_studies(tmp_path: Path) -> None:
    out = call(entry.main, ("--list",), tmp_path).out
    starts = [out.index(f"\n{key}: ") if key != "straathof2019" else 0 for key in catalogue.FIVE]
    assert starts == sorted(starts)
    assert "\nquestions: Four questions that none of the five studies could answer\n" in out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "9 layers, batch norm, sigma 0.001 test accuracy 49.17 ± 1.37 % (n=5)" in lines
    assert "9 layers, batch norm, final loss train loss 1.108" in lines
    assert lines[-1] == "660 runs"
    assert "25 runs   " in out


def test_a_dry_run(tmp_path: Path) -> None:
    lines = call(entry.main, ("straathof2019", "--dry-run", "--out", "a b"), tmp_path).out.splitlines()
    assert lines[0] == "gradients_straathof2019: 2 gradient checks, about 8 s; for straathof2019"
    assert lines[3].startswith("networks: 25 runs, about 1 min ")
    assert lines[4] == (
        "  python -m kls.train --multirun sweeps=networks data=cifar10 plots=false "
        """'hydra.sweep.dir='"'"'a b/steps/networks'"'"''"""
    )
    assert lines[-1].startswith("5 steps, 105 runs, about ")
    assert lines[-1].endswith("; nothing was run")
    assert list(tmp_path.iterdir()) == []


def test_the_embedded_data(tmp_path: Path) -> None:
    out = call(entry.main, ("straathof2019", "--dry-run", "--data", "synthetic"), tmp_path).out
    assert "data=cifar10" not in out
    assert out.count(" data=synthetic ") == 6  # a command a step, and two gradient checks
    assert "hydra.sweep.dir=outputs/studies/steps/networks" in out
    small = call(entry.main, ("straathof2019", "--dry-run", "--smoke"), tmp_path).out
    assert "hydra.sweep.dir=outputs/studies_smoke/steps/networks" in small
    assert small.count(" data=synthetic data.n_train=3000 ") == 6


def test_an_unknown_study(tmp_path: Path) -> None:
    assert mistake(call(entry.main, ("perrot",), tmp_path)).startswith(
        "perrot: there is no such study; there are straathof2019, perrot2024, gelisgen2019, jarvers2023, course_e, "
    )


def test_no_study(tmp_path: Path) -> None:
    outcome = call(entry.main, (), tmp_path)
    assert outcome.status == 2
    assert outcome.err.splitlines()[-1].endswith("error: give the NAME of a study, all, or --list")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")],
)
def test_times(seconds: float, told: str) -> None:
    assert told_time(seconds) == told


@pytest.fixture
def tasks() -> list[Task]:
    """The steps of a study, each said to take 100 seconds."""
    root = project_root()
    found = plan(catalogue.find("gelisgen2019", root), Wish(root, "cifar10", False, Path("out"), 2))
    return [Task(t.step, t.folder, t.commands, t.stages, 100.0, t.definition) for t in found.values()]


def test_the_time_left_goes_by_the_speed_that_was_measured(
    tasks: list[Task], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four steps of 100 seconds: one done before, one takes 50; of the third a quarter was done, one more is now."""
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    first, second, third, _ = tasks
    with StudiesProgress(tasks) as view:
        view.skipped(first)
        view.show(second, 1.0, 0.0, 0.01, "at work")
        view.ended(second, 50.0, 0.0)
        view.show(third, 12.5, 0.25, 0.5, "stage fine")
    assert capsys.readouterr().out.splitlines() == [
        "1 of 4 steps done; gelisgen2019_networks: at work",
        "2 of 4 steps done; gelisgen2019: stage fine; about 1 min 15 s left",
    ]


def test_steps_that_were_done_before_count_from_the_start(
    tasks: list[Task], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)
    (gradients,) = [task for task in tasks if not task.stages]
    for command in gradients.commands:
        command.folder.mkdir(parents=True)
        (command.folder / names.GRADIENTS).touch()
    with StudiesProgress(tasks) as view:
        view.show(next(task for task in tasks if task.stages), 50.0, 0.0, 0.5, "at work")
    assert capsys.readouterr().out == "1 of 4 steps done; gelisgen2019_networks: at work; about 4 min 10 s left\n"


def test_lines_come_now_and_then(tasks: list[Task], capsys: pytest.CaptureFixture[str]) -> None:
    with StudiesProgress(tasks) as view:
        view.show(tasks[0], 1.0, 0.0, 0.5, "at work")
    assert capsys.readouterr().out == ""
