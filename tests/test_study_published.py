"""Published figures beside ours: verdicts, counts, and the figures that several studies share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from figures import figure_of, labels_of, legend_of, points_of
from made_up_runs import make_run
from scipy import stats

from kls.analysis.groups import Sample
from kls.analysis.runs import read_runs
from kls.analysis.statistics import Interval
from kls.config.study_file import Figure, Step, Study
from kls.plots.colours import BLUE, PALETTE, VERMILLION
from kls.report.document import Picture, TableBlock
from kls.study import published as module
from kls.study.overview import _shared
from kls.study.page import Part
from kls.study.published import (
    ABOVE,
    BELOW,
    CHANCE,
    INSIDE,
    ONE_RUN,
    OTHER_DATA,
    SOME_LEARN,
    Compared,
    compare,
    counts_text,
    full_name,
    published_picture,
)
from kls.study.results import StepResult

T2 = 4.302652729749462  # Student's t quantile of 0.975 with 2 degrees of freedom
STEP = Step(name="s", what="", sweep="s", folder="s")


@pytest.fixture
def ours(tmp_path: Path) -> Any:
    def make(*scores: float, data: str = "CIFAR-10", **metrics: float) -> StepResult:
        for seed, score in enumerate(scores):
            make_run(
                tmp_path / str(len(list(tmp_path.iterdir()))), score, test=score, seed=seed, data=data, metrics=metrics
            )
        return StepResult(STEP, read_runs([tmp_path]), [], None, [])

    return make


def figure(published: float, **changes: Any) -> Figure:
    return Figure.model_validate({"what": "x", "step": "s", "published": published} | changes)


def test_inside_is_the_interval_expected_of_a_new_run(ours: Any) -> None:
    runs = ours(0.52, 0.53, 0.54)
    half = T2 * math.sqrt(4.0 / 3.0)
    assert compare(figure(53.0 + half - 0.01), runs).verdict == INSIDE
    assert compare(figure(53.0 + half + 0.01), runs).verdict == ABOVE
    assert compare(figure(53.0 - half - 0.01), runs).verdict == BELOW
    of_five = T2 * math.sqrt(1.0 / 3.0 + 0.2)
    assert compare(figure(53.0 + of_five - 0.01, n=5), runs).verdict == INSIDE
    assert compare(figure(53.0 + of_five + 0.01, n=5), runs).verdict == ABOVE


def test_a_validation_figure_adds_the_variance_of_another_split(ours: Any) -> None:
    """With sd 1 % of three runs: 4/3 + 1e4 p q 2 / 5000 = 2.3297, degrees of freedom 2 (2.3297 / 1.3333)^2 = 6.106."""
    compared = compare(figure(53.0, score="val_accuracy"), ours(0.52, 0.53, 0.54))
    variance = 4.0 / 3.0 + 1e4 * 0.53 * 0.47 * 2.0 / 5000.0
    half = stats.t.ppf(0.975, 2.0 * (variance / (4.0 / 3.0)) ** 2) * math.sqrt(variance)
    assert 100.0 * (compared.expected.high - 0.53) == pytest.approx(half)


def test_a_published_spread_is_compared_by_welch(ours: Any) -> None:
    # equal sd and n: dof 4, t 2.7764451051977987, standard error sqrt(2/3): half 2.26695
    half, runs = 2.7764451051977987 * math.sqrt(2.0 / 3.0), ours(0.52, 0.53, 0.54)
    compared = compare(figure(53.0 + half - 0.01, sd=1.0, n=3), runs)
    assert compared.verdict == INSIDE
    assert compared.expected.high == pytest.approx(0.01 * (53.0 + half))
    assert compare(figure(53.0 + half + 0.01, sd=1.0, n=3), runs).verdict == ABOVE


def test_chance_single_runs_and_seeds_of_two_modes(ours: Any, tmp_path: Path) -> None:
    chance = ours(0.1, 0.1, 0.1)
    assert compare(figure(10.14), chance).verdict == CHANCE
    assert compare(figure(10.0, sd=0.0, n=5), chance).verdict == CHANCE
    assert compare(figure(19.74), chance).verdict == ABOVE
    mixed = ours(0.1, 0.1, 0.1, 0.29, 0.47)  # two more seeds; the first three are the same runs again
    compared = compare(figure(40.0), mixed)
    assert (compared.verdict, compared.text) == (SOME_LEARN, "2 of 5 seeds learn: 29.00 to 47.00 %")
    assert not compared.expected.known


def test_one_run_and_other_data_have_no_verdict(ours: Any) -> None:
    assert compare(figure(53.0), ours(0.53)).verdict == ONE_RUN


def test_runs_on_other_data_are_not_compared(ours: Any) -> None:
    compared = compare(figure(53.0), ours(0.52, 0.53, data="textures"))
    assert (compared.verdict, compared.text) == (OTHER_DATA, "52.50 ± 0.71 (n=2)")
    assert math.isnan(compared.difference)


def test_the_counts(ours: Any) -> None:
    runs = ours(0.52, 0.53, 0.54, train_loss=1.1)
    figures = [
        figure(53.2), figure(60.0), figure(53.9, again=True), figure(50.0, where={"seed": 1}),
        figure(2.0, score="train_loss"), figure(50.0, where={"model": "9layer"}),
    ]  # fmt: skip
    compared = [compare(f, runs) for f in figures]
    assert counts_text(compared) == (
        "4 published figures: inside 1, above 1, one run 1, not run 1. Of the 2 that can be judged 1.9 would be "
        "inside if all were equal. Accuracies within 1 point of our mean: 1 of 3. Training figures, apart: 0 of 1 "
        "inside. 1 figure compared twice, counted once."
    )


def test_a_name_has_the_score_once() -> None:
    names = {"3 layers": "3 layers, validation accuracy", "3 layers, validation": "3 layers, validation accuracy"}
    assert {what: full_name(figure(50.0, what=what, score="val_accuracy")) for what in names} == names
    assert full_name(figure(1.2, what="a test, training", score="train_loss")) == "a test, training loss"


def test_the_picture_shows_differences_with_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compared(verdict: str, ours: list[float], low: float, high: float, **rest: Any) -> Compared:
        """Of a published 50 %: scores of ours and their interval in points above it."""
        sample = Sample("test_accuracy", pd.Series([0.5 + 0.01 * value for value in ours]), "CIFAR-10")
        expected = Interval(sample.mean, 0.5 + 0.01 * low, 0.5 + 0.01 * high)
        return Compared(figure(50.0, **rest), sample, verdict, "", expected=expected)

    nan, pictures = math.nan, list[Any]()
    named = [
        ("a $", compared("inside", [-1.0, 1.0], -3.0, 3.0)),
        ("a $", compared("below", [1.5, 2.5], 0.5, 3.5, sd=0.3)),
        ("one run", compared("one run", [0.75], nan, nan)),
        ("far", compared("above", [-31.0, -29.0], -33.0, -27.0)),
        ("a loss", compared("inside", [0.0], -1.0, 1.0, score="test_loss")),
        ("not run", Compared(figure(50.0), None, "not run", "")),
    ]
    monkeypatch.setattr(module, "FORMATS", ("png",))
    drawn = figure_of(lambda path, title: pictures.extend(published_picture(named, tmp_path)))
    (axes,) = drawn.axes
    assert labels_of(axes) == ["a $ (n=2)", "a $ (n=2)", "one run (n=1)", "far (n=2)"]
    ends = [text.get_text() for text in axes.child_axes[0].get_yticklabels()]
    assert ends == ["+0.00  inside", "+2.00  below", "+0.75  one run", "-30.00  above"]
    left = axes.get_xlim()[0]
    assert left == pytest.approx(-3.0 * 3.25)
    assert [x for x, _ in points_of(axes, "<")] == [left]
    bars = {(*np.round(line.get_xdata(), 9),): line.get_color() for line in axes.lines if line.get_linewidth() == 1.8}
    edge = round(left, 9)
    assert bars == {(-3.0, 3.0): BLUE, (0.5, 3.5): VERMILLION, (-0.3, 0.3): PALETTE[3], (edge, edge): VERMILLION}
    dots = np.concatenate([line.get_xdata() for line in axes.lines if line.get_alpha() == 0.6])
    assert sorted(dots) == pytest.approx([-1.0, 0.75, 1.0, 1.5, 2.5])
    assert legend_of(drawn)[:2] == ["published inside our interval", "published outside"]
    assert pictures[0].caption == (
        "Ours minus published, in points: 1 of 3 intervals hold the published figure; our mean is farthest from far, "
        "by -30.00 points."
    )


def shared(first: float, second: float, ours: StepResult, folder: Path) -> list[list[str]]:
    parts = []
    for key, published in (("one", first), ("two", second)):
        own = {"what": f"BN of {key}", "step": "s", "where": {"dtype": "float32"}, "published": published}
        step = {"name": "s", "folder": "networks", "what": "w", "sweep": "networks"}
        study = Study.model_validate({"key": key, "title": key, "asked": "", "steps": [step], "published": [own]})
        parts.append(Part(study, {"s": ours}, [compare(study.published[0], ours)], []))
    _, table, picture = _shared(parts, folder)
    assert isinstance(table, TableBlock)
    assert isinstance(picture, Picture)
    return [column.cells for column in table.table.columns]


def test_figures_that_studies_share(ours: Any, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    runs = ours(0.52, 0.53, 0.54)
    columns = shared(52.0, 54.0, runs, tmp_path / "pictures")
    assert columns == [["BN of one, test accuracy"], ["52.00"], ["54.00"], ["53.00 ± 1.00 (n=3)"], ["2 of 2"]]
