"""kls compare: differences of sides, what is chosen of each, and what is never compared."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from entry_points import Outcome, call, mistake
from made_up_runs import make_run
from scipy import stats

from kls.analysis.comparison import Comparison, compare, read_sides
from kls.compare import main

A, B = (0.50, 0.52, 0.51, 0.49), (0.54, 0.55, 0.55, 0.52)


def side(folder: Path, scores: tuple[float, ...], seeds: tuple[int, ...] | None = None, **settings: Any) -> Path:
    """Runs of one setting, a seed each; the test accuracy is one point above that of validation."""
    for seed, score in zip(seeds or range(len(scores)), scores, strict=True):
        name = "-".join(map(str, [seed, *settings.values()]))
        make_run(folder / re.sub(r"[^\w.-]", "", name), score, test=score + 0.01, seed=seed, **settings)
    return folder


def compared(*sides: str | Path, **options: Any) -> Comparison:
    return compare(read_sides(list(map(str, sides)), Path), **options)


def told(cwd: Path, *arguments: str) -> str:
    outcome = call(main, arguments, cwd)
    assert (outcome.status, outcome.err) == (0, "")
    assert max(map(len, outcome.out.splitlines())) <= 120
    return outcome.out


def test_shared_seeds_are_paired(tmp_path: Path) -> None:
    side(tmp_path / "a", A, lam=0.1)
    side(tmp_path / "b", B, lam=0.2)
    found = compared(tmp_path / "a", tmp_path / "b")
    ((_, at, pair, p),) = found.rows
    wanted, interval = stats.ttest_rel(B, A), pair.difference.interval
    assert (found.score, at, pair.difference.method) == ("test_accuracy", "", "paired by seed")
    assert (p, interval.centre) == (pytest.approx(wanted.pvalue), pytest.approx(np.mean(B) - np.mean(A)))
    assert (interval.low, interval.high) == pytest.approx(tuple(wanted.confidence_interval()))
    text = " ".join(told(tmp_path, "a", "b").split())
    assert "A: a B: b" in text
    assert (
        "B in place of A raises the test accuracy by 3.5 points (95 % interval +2.58 to +4.42; p = 0.0012; paired by "
        "seed): 55.00 ± 1.41 % (n = 4) against 51.50 ± 1.29 % (n = 4) on CIFAR-10."
    ) in text


def test_other_seeds_are_compared_by_welch(tmp_path: Path) -> None:
    side(tmp_path / "a", A, lam=0.1)
    side(tmp_path / "b", B, (7, 8, 9, 10), lam=0.2)
    ((_, _, pair, p),) = compared(tmp_path / "a", tmp_path / "b", score="val_accuracy").rows
    assert (pair.difference.method, p) == ("Welch", pytest.approx(stats.ttest_ind(B, A, equal_var=False).pvalue))


def test_the_best_group_of_each_side(tmp_path: Path) -> None:
    side(tmp_path / "a", A, lam=0.1)
    side(tmp_path / "a", (0.3, 0.3, 0.31, 0.3), lam=0.2)
    side(tmp_path / "b", B, lam=0.3)
    found = compared(tmp_path / "a", tmp_path / "b")
    assert found.chosen[0] == f"A: {tmp_path}/a, the best of 2 settings by validation: lam 0.1"
    assert found.rows[0].pair.b.mean == pytest.approx(np.mean(A) + 0.01)
    assert found.notes == []
    (note,) = compared(tmp_path / "a", tmp_path / "b", score="val_accuracy").notes
    assert note.startswith("The best of several settings was chosen by the scores that are compared here")


def test_equal_settings_are_matched(tmp_path: Path) -> None:
    for name, model, shift in (("a", "3layer", 0.0), ("b", "9layer", 0.01), ("c", "9layer_bn", 0.05)):
        for lam, below in ((0.1, 0.0), (0.2, 0.1)):
            scores = np.array(A) - below + shift * np.array([1, 2, 1, 1])
            side(tmp_path / name, tuple(scores.round(6).tolist()), lam=lam, model=model)
    found = compared(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    assert [(row.other.letter, row.at) for row in found.rows] == [
        ("B", "lam 0.1"), ("C", "lam 0.1"), ("B", "lam 0.2"), ("C", "lam 0.2"),
    ]  # fmt: skip
    alone = sorted(stats.ttest_rel(row.pair.a.values, row.pair.b.values).pvalue for row in found.rows)
    assert min(row.p for row in found.rows) == pytest.approx(4 * alone[0])
    assert found.chosen[0].endswith("a, all 2 settings")
    assert "by Holm's method for 4 differences" in " ".join(told(tmp_path, "a", "b", "c").split())
    best = compared(tmp_path / "a", tmp_path / "b", best=True)
    assert [row.at for row in best.rows] == [""]


def test_conditions(tmp_path: Path) -> None:
    side(tmp_path / "nets", A, model="3layer")
    side(tmp_path / "nets", B, model="3layer_bn")
    text = told(tmp_path, "nets::model == '3layer'", "nets::model == '3layer_bn'", "--metric", "val_accuracy")
    assert "53.99" not in text
    assert "54.00 ± 1.41 % (n = 4)" in text
    line = mistake(call(main, ("nets::model ==", "nets"), tmp_path))
    assert line.startswith("nets: 'model ==' cannot be read (")
    line = mistake(call(main, ("nets::model == 'x'", "nets"), tmp_path))
    assert line == "nets::model == 'x': none of the 8 runs is so"
    line = mistake(call(main, ("nets::lam < 1", "nets"), tmp_path))
    assert line == "nets::lam < 1 and nets: some runs are on both sides"


def test_seeds_of_which_some_learn_are_told_and_not_compared(tmp_path: Path) -> None:
    side(tmp_path / "a", A, lam=0.1)
    side(tmp_path / "b", (0.1, 0.1, 0.47, 0.45), lam=0.2)
    found = compared(tmp_path / "a", tmp_path / "b", score="val_accuracy")
    assert found.rows[0].pair.difference is None
    assert np.isnan(found.rows[0].p)
    text = " ".join(told(tmp_path, "a", "b", "--metric", "val_accuracy").split())
    assert "2 of 4 seeds learn: 45.00 to 47.00 %" in text
    assert "Means are not compared, since only some seeds learn." in text


def test_single_runs_have_no_interval(tmp_path: Path) -> None:
    side(tmp_path / "a", A[:1])
    side(tmp_path / "b", B[:1], lam=0.2)
    assert "one run on a side: no interval, this may be noise" in " ".join(told(tmp_path, "a", "b").split())


def test_the_longest_training_that_both_have(tmp_path: Path) -> None:
    for name, scores in (("a", A), ("b", B)):
        side(tmp_path / name, tuple(score + 0.3 for score in scores), optimizer__schedule__cycles=1)
        side(tmp_path / name, scores, optimizer__schedule__cycles=2)
    side(tmp_path / "b", (0.99, 0.98), optimizer__schedule__cycles=4)
    found = compared(tmp_path / "a", tmp_path / "b")
    assert found.notes == ["Runs of 20 epochs, the longest training that all sides have."]
    assert found.rows[0].pair.difference.interval.centre == pytest.approx(np.mean(B) - np.mean(A))


REFUSED = {
    "data": ({"data": "synthetic"}, "a and b differ in data: CIFAR-10 and synthetic; only runs on the same data and "),
    "pictures": ({"fingerprint": "x"}, "a and b differ in pictures_fingerprint: 00112233aabbccdd and x; only runs "),
    "split": ({"metrics": {"n_train": 1000}}, "a and b differ in n_train: 45000 and 1000; only runs on the same "),
    "budget": ({"optimizer__schedule__cycles": 3}, "a and b differ in epochs: 20 and 30; only runs on the same data "),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_never_compared(what: str, tmp_path: Path) -> None:
    settings, line = REFUSED[what]
    make_run(tmp_path / "a/0", 0.5)
    make_run(tmp_path / "b/0", 0.5, **settings)
    assert mistake(call(main, ("a", "b"), tmp_path)).startswith(line)
    if what != "budget":
        make_run(tmp_path / "a/1", 0.5, **settings)
        told = mistake(call(main, ("a", "b"), tmp_path))
        assert told.startswith("a: its runs differ in ")
        assert "choose by a condition: 'a::" in told


def test_mistakes(tmp_path: Path) -> None:
    make_run(tmp_path / "a/0", 0.5)
    make_run(tmp_path / "b/0", None, status="running")
    make_run(tmp_path / "c/0", 0.5)

    def line(*arguments: str) -> str:
        return mistake(call(main, arguments, tmp_path))

    assert line("a") == "give 2 to 26 sides to be compared, each a folder, or 'FOLDER::CONDITION'"
    assert line("a", "b") == "b: has no run with a result"
    assert line("a", "none") == "none: there is no such folder"
    assert line("a", "") == "give a folder"
    assert line("a", "c", "--metric", "acuracy").startswith("a: acuracy: there is no such column; did you mean ")
    assert line("a", "c", "--metric", "lam") == "a: lam is no score; there are val_accuracy, val_loss"
    assert line("a", "c", "--metric", "test_accuracy").startswith("a: test_accuracy: there is no such column")
    assert line("a", "a") == "a and a: some runs are on both sides"


def test_the_command_is_a_module_too(tmp_path: Path) -> None:
    outcome: Outcome = call(main, ("--help",), tmp_path)
    assert outcome.out.startswith("usage: python -m kls.compare ")
