"""Comparisons and findings on hand-written runs: the numbers and the words."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_runs import make_run
from made_up_studies import make_networks, make_search, make_sensitivity

from kls.aggregate.document import Picture
from kls.errors import UserError
from kls.reporting.comparison import ABOVE, BELOW, CHANCE, INSIDE, UNKNOWN, Compared, counted
from kls.reporting.cross import cross
from kls.reporting.gain import difference, gain_said
from kls.reporting.learning import learning
from kls.reporting.optimum import optimum
from kls.reporting.results import Runs, read_runs
from kls.reporting.selection import Selected, select
from kls.reporting.shared import agreement_said, shared_quantities, shared_table
from kls.reporting.trend import trend
from kls.studies.definition import Cross, Figure, Gain, Learning, Optimum, Study, Trend

T2 = 4.302652729749462  # Student's t quantile of 0.975 with 2 degrees of freedom


def runs_of(folder: Path) -> Runs:
    runs = read_runs([folder])
    assert runs is not None
    return runs


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("a") / "networks"
    make_networks(folder)
    return runs_of(folder)


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("b") / "search"
    make_search(folder)
    return runs_of(folder)


@pytest.fixture(scope="module")
def sensitivity(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("c") / "sensitivity"
    make_sensitivity(folder)
    return runs_of(folder)


def selected(*values: float) -> Selected:
    return Selected(np.array(values), [(seed, seed, 0) for seed in range(len(values))], "CIFAR-10")


def figure(published: float, **changes: Any) -> Figure:
    return Figure.model_validate({"what": "x", "step": "s", "published": published} | changes)


def test_runs_are_selected_by_columns_and_short_names(networks: Runs, search: Runs) -> None:
    ours = select(networks, {"model": "3layer_bn", "stage": "networks"}, "test_accuracy")
    assert ours.values == pytest.approx([52.5, 53.6, 54.4])
    assert (ours.n, ours.data, ours.choice) == (3, "CIFAR-10", "")
    assert (ours.mean, ours.sd) == (pytest.approx(53.5), pytest.approx(math.sqrt(0.91)))
    assert select(search, {"stage": "coarse", "lam": "1e-3"}, "val_accuracy").mean == pytest.approx(54.6)
    assert select(networks, {"enabled": False, "model": "9layer", "seed": 2}, "train_loss").mean == pytest.approx(1.2)


def test_of_several_settings_the_best_the_next_or_the_nearest(search: Runs) -> None:
    where = {"stage": "coarse"}
    best = select(search, where, "val_accuracy")
    assert (best.mean, best.choice) == (pytest.approx(55.0), "best of 5 by validation: lam 0.01")
    third = select(search, where, "val_accuracy", rank=3)
    assert (third.mean, third.choice) == (pytest.approx(54.5), "number 3 of 5 by validation: lam 0.03")
    near = select(search, where, "val_accuracy", near={"lam": 0.05})  # 0.03 is a factor 1.67 away, 0.1 a factor 2
    assert (near.mean, near.choice) == (pytest.approx(54.5), "nearest: lam 0.03")
    with pytest.raises(UserError, match="5 settings with a result, so none is number 6"):
        select(search, where, "val_accuracy", rank=6)


@pytest.mark.parametrize(
    ("where", "score", "message"),
    [
        ({"model": "5layer"}, "test_accuracy", "no run has model = 5layer"),
        ({"modle": "3layer"}, "test_accuracy", "modle: there is no such column; did you mean model?"),
        ({}, "tset_accuracy", "no run has a tset_accuracy"),
    ],
)
def test_what_cannot_be_selected(networks: Runs, where: dict[str, Any], score: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        select(networks, where, score)


def test_inside_is_the_interval_expected_of_a_new_run() -> None:
    ours = selected(52.0, 53.0, 54.0)
    half = T2 * math.sqrt(4.0 / 3.0)
    assert Compared(figure(53.0 + half - 0.01), ours).verdict == INSIDE
    assert Compared(figure(53.0 + half + 0.01), ours).verdict == ABOVE
    assert Compared(figure(53.0 - half - 0.01), ours).verdict == BELOW
    of_five = T2 * math.sqrt(1.0 / 3.0 + 0.2)
    assert Compared(figure(53.0 + of_five - 0.01, n=5), ours).verdict == INSIDE
    assert Compared(figure(53.0 + of_five + 0.01, n=5), ours).verdict == ABOVE
    assert Compared(figure(53.0), selected(53.0)).verdict == UNKNOWN


def test_a_published_spread_is_compared_by_welch() -> None:
    ours = selected(52.0, 53.0, 54.0)
    # equal sd and n: dof 4, t 2.7764451051977987, standard error sqrt(2/3): half 2.26695
    half = 2.7764451051977987 * math.sqrt(2.0 / 3.0)
    compared = Compared(figure(53.0 + half - 0.01, sd=1.0, n=3), ours)
    assert compared.verdict == INSIDE
    assert compared.expected.high == pytest.approx(53.0 + half)
    assert Compared(figure(53.0 + half + 0.01, sd=1.0, n=3), ours).verdict == ABOVE


def test_networks_at_chance_agree_though_they_have_no_spread() -> None:
    chance = selected(10.0, 10.0, 10.0)
    assert Compared(figure(10.14), chance).verdict == CHANCE
    assert Compared(figure(10.0, sd=0.0, n=5), chance).verdict == CHANCE
    assert Compared(figure(19.74), chance).verdict == ABOVE
    assert Compared(figure(10.14), selected(10.0, 50.0)).verdict == INSIDE  # the interval is wide, but it is no guess
    assert Compared(figure(1.2, score="train_loss"), selected(1.1, 1.2, 1.3)).verdict == INSIDE


def test_the_counting_sentence() -> None:
    ours = selected(52.0, 53.0, 54.0)
    compared = [
        Compared(figure(53.2), ours), Compared(figure(60.0), ours), Compared(figure(10.1), selected(10.0, 10.0)),
        Compared(figure(50.0), selected(51.5)), Compared(figure(2.0, score="train_loss"), selected(1.0, 1.1, 1.2)),
        Compared(figure(50.0), None, "not run yet"),
    ]  # fmt: skip
    assert counted(compared) == (
        "Of 6 published figures, 1 of 4 lie inside the spread of our seeds, 1 is at chance level on both sides, "
        "2 of 4 are within 1 point of ours, and our mean is better than 2 of 5. 1 is not compared, for want of runs."
    )
    other = Selected(np.array([52.0, 53.0]), [(0,), (1,)], "textures")
    assert counted([Compared(figure(52.0), other)]) == (
        "1 published figure, of CIFAR-10, and our runs, of textures: they cannot agree."
    )
    assert counted([Compared(figure(50.0), None)]).startswith("None of the 1 published figure can be compared yet")


def gain(networks: Runs, a: dict[str, Any], b: dict[str, Any], score: str = "test_accuracy") -> str:
    return gain_said(Gain(kind="gain", what="batch norm", to="the net", step="s", a=a, b=b, score=score), networks)


def test_a_gain_by_pairs(networks: Runs) -> None:
    # 51 - 40, 52 - 30, 53 - 35: 11, 22, 18; mean 17, sd 5.5678, half T2 * sd / sqrt(3) = 13.831
    assert gain(networks, {"model": "9layer_bn"}, {"model": "9layer"}) == (
        "Batch norm adds 17.0 points to the net: 52.00 ± 1.00 % against 35.00 ± 5.00 % test accuracy on CIFAR-10 "
        "(95 % interval 3.2 to 30.8; n = 3 and 3, paired by seed)."
    )
    assert gain(networks, {"model": "9layer"}, {"model": "9layer_bn"}).startswith(
        "Batch norm costs the net 17.0 points: 35.00 ± 5.00 % against 52.00 ± 1.00 % test accuracy on CIFAR-10 "
        "(95 % interval 3.2 to 30.8;"
    )


def test_a_gain_that_is_noise(networks: Runs) -> None:
    # 0.5, 0.6, 0.4: mean 0.5, sd 0.1, half 0.2484: told from noise; one seed less on one side: Welch, not told
    assert "adds 0.50 points to the net" in gain(networks, {"model": "3layer_bn"}, {"model": "3layer"})
    assert "(95 % interval 0.25 to 0.75;" in gain(networks, {"model": "3layer_bn"}, {"model": "3layer"})
    noise = gain(networks, {"model": "3layer_bn"}, {"model": "3layer", "seed": 1})
    assert noise == (
        "Batch norm adds 0.50 points to the net: 53.50 ± 0.95 % against 53.00 % test accuracy on CIFAR-10 "
        "(n = 3 and 1: no interval, this may be noise)."
    )
    # every pair differs by -1, so Welch: dof 4, half 2.7764 * sqrt(2 / 3) = 2.267
    doubt = gain(networks, {"model": "9layer_bn"}, {"model": "3layer"})
    assert doubt == (
        "Batch norm makes no difference to the net that can be told from noise: 52.00 ± 1.00 % against 53.00 ± 1.00 % "
        "test accuracy on CIFAR-10 (-1.0 point, 95 % interval -3.3 to 1.3; n = 3 and 3, Welch)."
    )
    same = gain(networks, {"model": "3layer"}, {"model": "3layer"})
    assert same.startswith("Batch norm makes no difference to the net: 53.00 ± 1.00 % against 53.00 ± 1.00 %")


def test_a_gain_of_unlike_seeds_is_welchs_and_may_be_none() -> None:
    a, b = selected(52.0, 53.0, 54.0), Selected(np.array([52.0, 53.0, 55.0]), [(7,), (8,), (9,)], "CIFAR-10")
    interval, method = difference(a, b)
    assert method == "Welch"
    assert interval.holds(0.0)
    interval, method = difference(a, Selected(b.values[::-1], [(2, 2, 0), (1, 1, 0), (0, 0, 0)], "CIFAR-10"))
    assert method == "paired by seed"
    assert interval.centre == pytest.approx(-1.0 / 3.0)
    shifted = selected(51.0, 52.0, 53.0)  # every pair differs by 1: that two differences are equal proves nothing
    assert difference(a, shifted)[1] == "Welch"
    assert difference(selected(10.0, 10.0), selected(11.0, 11.0))[1] == "paired by seed"


def test_a_gain_in_a_loss(networks: Runs, tmp_path: Path) -> None:
    for model, losses in (("3layer", (1.2, 1.31, 1.4)), ("3layer_bn", (1.0, 1.1, 1.2))):
        for seed, loss in enumerate(losses):
            make_run(tmp_path / f"{model}{seed}", 0.5, model=model, seed=seed, metrics={"train_loss": loss})
    said = gain(runs_of(tmp_path), {"model": "3layer_bn"}, {"model": "3layer"}, "train_loss")
    assert said.startswith(
        "Batch norm lowers the training loss of the net by 0.203: 1.100 ± 0.100 against 1.303 ± 0.100"
    )


def test_an_optimum(search: Runs) -> None:
    best = optimum(Optimum(kind="optimum", step="s", setting="lam"), search)
    assert (best.value, best.low, best.high, best.near) == (0.01, 1e-3, 0.03, 3)  # 54.6 and 54.5 are within 0.5 of 55
    assert best.sentences() == (
        "The best lam is 0.01 of 5 values tried: validation accuracy on CIFAR-10 55.00 % (n = 1), stage coarse. "
        "3 of the values tried, from 0.001 to 0.03, a factor of 30, lie within 0.5 points. "
        "Run again at lam 0.01: validation 54.00 ± 1.00 % (n = 3), test 53.00 ± 1.00 % (n = 3). "
        "The single run that was chosen had scored 1.0 points more than this mean."
    )
    with pytest.raises(UserError, match="only one value of batch_size was tried"):
        optimum(Optimum(kind="optimum", step="s", setting="batch_size"), search)


def test_an_optimum_at_the_edge_and_one_of_seeds(tmp_path: Path) -> None:
    for i, (lam, score) in enumerate([(0.1, 0.5), (0.1, 0.54), (0.2, 0.49), (0.2, 0.51), (0.3, 0.40)]):
        make_run(tmp_path / str(i), score, lam=lam, seed=i)
    best = optimum(Optimum(kind="optimum", step="s", setting="lam"), runs_of(tmp_path))
    assert (best.value, best.edge, best.tried) == (0.1, "smallest", "5 runs at 3 values")
    assert best.reach == pytest.approx(100 * 0.04 / math.sqrt(2))  # the sd of 50 and 54 is above half a point
    assert (best.low, best.high) == (0.1, 0.2)
    assert "It is the smallest value tried: the optimum may lie beyond." in best.sentences()


def test_learning(sensitivity: Runs) -> None:
    said, (_, table) = learning(Learning(kind="learning", step="s", setting="sigma", by="model"), sensitivity)
    assert said == (
        "3layer learns at sigma 0.1 (all 3 runs), learns in 1 of 3 runs at sigma 0.001 and stays at chance at sigma "
        "0.0001 (3 runs). 3layer_bn learns at every sigma (0.1, 0.001 and 0.0001; 9 runs)."
    )
    assert [line.split() for line in table.text().splitlines()[2:]] == [
        ["3layer", "3", "of", "3", "1", "of", "3", "0", "of", "3"],
        ["3layer_bn", *["3", "of", "3"] * 3],
    ]


def test_kinds_that_learn_alike_share_a_sentence(tmp_path: Path) -> None:
    learns = {1e-12: (1, 1), 1e-8: (1, 1), 1e-6: (1, 0), 1e-3: (0, 0), 1e-2: (1, 0)}
    for epsilon, (at_large, at_small) in learns.items():
        for sigma, learnt in ((0.1, at_large), (1e-3, at_small)):
            score = 0.4 if learnt else 0.1
            own = {"model__bn__epsilon": epsilon, "model__init__sigma": sigma}
            make_run(tmp_path / f"{epsilon}-{sigma}", score, test=score, **own)
    finding = Learning(kind="learning", step="s", setting="sigma", by="epsilon")
    assert learning(finding, runs_of(tmp_path))[0] == (
        "Epsilon 1e-12 and 1e-08 learn at every sigma (0.1 and 0.001; 2 runs each). "
        "Epsilon 1e-06 and 0.01 learn at sigma 0.1 (1 run each) and stay at chance at sigma 0.001 (1 run each). "
        "Epsilon 0.001 stays at chance at every sigma (0.1 and 0.001; 2 runs)."
    )


def test_a_cross(tmp_path: Path) -> None:
    """Of two kinds, one of which has two momenta; 100 precise has no runs."""
    scores = {(20, "ema", 0.5): 0.30, (20, "ema", 0.9): 0.40, (20, "precise", 0.9): 0.45,
              (100, "ema", 0.5): 0.52, (100, "ema", 0.9): 0.50}  # fmt: skip
    for i, ((size, kind, momentum), score) in enumerate(scores.items()):
        own = {"batch_size": size, "model__bn__statistics": kind, "model__bn__momentum": momentum}
        for seed in range(2):
            make_run(tmp_path / "r" / f"{i}-{seed}", score, test=score + 0.01 * seed, seed=seed, **own)
    by = ["bn.statistics", "bn.momentum"]
    finding = Cross(kind="cross", what="statistics", step="s", setting="batch_size", by=by)
    said, (_, table, picture) = cross(finding, runs_of(tmp_path / "r"), tmp_path, "report-")
    assert said == (
        "Statistics, test accuracy on CIFAR-10: at batch_size 20 it is highest with statistics precise, "
        "45.50 ± 0.71 %, and lowest with statistics ema, bn.momentum 0.5, 30.50 ± 0.71 %; at batch_size 100 it is "
        "highest with statistics ema, bn.momentum 0.5, 52.50 ± 0.71 %, and lowest with statistics ema, bn.momentum "
        "0.9, 50.50 ± 0.71 %."
    )
    rows = [line.split("  ") for line in table.text().splitlines()[2:]]
    assert [[cell.strip() for cell in row if cell.strip()] for row in rows] == [
        ["statistics ema, bn.momentum 0.5", "30.50 ± 0.71 % (n = 2)", "52.50 ± 0.71 % (n = 2)"],
        ["statistics ema, bn.momentum 0.9", "40.50 ± 0.71 % (n = 2)", "50.50 ± 0.71 % (n = 2)"],
        ["statistics precise", "45.50 ± 0.71 % (n = 2)", "-"],
    ]
    assert isinstance(picture, Picture)
    assert picture.caption.endswith("means from 30.5 to 52.5. Darker is higher.")
    assert (tmp_path / "report-cross.png").is_file()
    with pytest.raises(UserError, match="lam: fewer than two values have results"):
        cross(finding.model_copy(update={"by": ["lam"]}), runs_of(tmp_path / "r"), tmp_path, "")


def test_a_trend_of_gains(sensitivity: Runs, tmp_path: Path) -> None:
    finding = Trend(kind="trend", what="what it adds", step="s", setting="sigma", of="bn.enabled")
    said, blocks = trend(finding, sensitivity, tmp_path, "report-")
    # means of the gains: 41 at 1e-4, 83 / 3 at 1e-3, -2 at 0.1; slope (4 * 41 + 83 / 3 + 5 * 2) / -14 = -14.40
    assert said.startswith(
        "What it adds: gain in test accuracy on CIFAR-10 falls steadily from +41.00 points at sigma 0.0001 to "
        "-2.00 points at sigma 0.1; a straight line has slope -14.40 "
    )
    assert "points a decade of sigma (95 % interval" in said
    assert "+41.00 (38.52 to 43.48)" in blocks[1].text()  # 41 ± T2 / sqrt(3)
    assert (tmp_path / "report-trend.png").is_file()


def test_a_trend_of_a_score_and_of_networks(sensitivity: Runs, networks: Runs, tmp_path: Path) -> None:
    for i, (size, score) in enumerate([(50, 0.50), (50, 0.51), (100, 0.52), (100, 0.53), (200, 0.54), (200, 0.55)]):
        make_run(tmp_path / "r" / str(i), score, test=score, batch_size=size, seed=i % 2)
    finding = Trend(kind="trend", what="batches", step="s", setting="batch_size")
    said, _ = trend(finding, runs_of(tmp_path / "r"), tmp_path, "a")
    assert said.startswith(
        "Batches: test accuracy on CIFAR-10 rises steadily from 50.50 % at batch_size 50 to 54.50 % at batch_size 200; "
        "a straight line has slope +0.026 points a unit of batch_size (95 % interval 0.0"
    )
    said, _ = trend(Trend(kind="trend", what="networks", step="s", setting="model"), networks, tmp_path, "b")
    assert said == (
        "Networks: test accuracy on CIFAR-10 is lowest, 35.00 % for 9layer, and highest, 53.50 % for 3layer_bn."
    )


def test_a_trend_of_the_best_value(tmp_path: Path) -> None:
    number = 0
    for size, best in ((100, 1e-2), (1000, 1e-3), (10000, 1e-4)):
        for lam in (1e-4, 1e-3, 1e-2):
            for seed in range(2):
                score = 0.5 - 0.01 * abs(math.log10(lam / best))
                make_run(tmp_path / "r" / str(number), score, lam=lam, batch_size=size, seed=seed)
                number += 1
    finding = Trend(kind="trend", what="best lambda", step="s", setting="batch_size", of="lam", score="val_accuracy")
    said, blocks = trend(finding, runs_of(tmp_path / "r"), tmp_path, "")
    assert said == (
        "Best lambda: best lam on CIFAR-10 falls steadily from 0.01 at batch_size 100 to 0.0001 at batch_size 10000; "
        "it goes as batch_size to the power -1.00 (95 % interval -1.00 to -1.00; the best of each seed, 6 values)."
    )
    rows = [re.split("  +", line.strip()) for line in blocks[1].text().splitlines()[2:]]
    assert [row[:3] for row in rows] == [
        ["100", "0.01 (largest tried)", "0.01, 0.01"], ["1000", "0.001", "0.001, 0.001"],
        ["10000", "0.0001 (smallest tried)", "0.0001, 0.0001"],
    ]  # fmt: skip


def test_a_best_value_that_does_not_move(tmp_path: Path) -> None:
    for i, (size, lam) in enumerate(itertools.product((100, 1000, 10000), (1e-4, 1e-3, 1e-2))):
        make_run(tmp_path / "r" / str(i), 0.5 if lam == 1e-3 else 0.4, lam=lam, batch_size=size)
    finding = Trend(kind="trend", what="best lambda", step="s", setting="batch_size", of="lam", score="val_accuracy")
    assert trend(finding, runs_of(tmp_path / "r"), tmp_path, "")[0].startswith(
        "Best lambda: best lam on CIFAR-10 is 0.001 at every value of batch_size"
    )


def shared(first: float, second: float, ours: Selected | None) -> list[Any]:
    studies = []
    for key, published in (("one", first), ("two", second)):
        own = {"what": f"BN of {key}", "step": "s", "where": {"model": "3layer_bn"}, "published": published}
        step = {"name": "s", "folder": "networks", "what": "w", "sweep": "networks"}
        study = Study.model_validate({"key": key, "title": key, "asked": "", "steps": [step], "published": [own]})
        studies.append((study, [Compared(study.published[0], ours)]))
    return shared_quantities(studies)


def test_quantities_that_studies_share_and_whether_they_agree() -> None:
    ours = selected(52.0, 53.0, 54.0)
    (quantity,) = shared(52.0, 54.0, ours)
    assert quantity.what == "BN of one"
    assert quantity.inside == (2, 2)
    # sd sqrt(2) of two figures over 1; F(1, 2) of 2 has p = 1 - sqrt(2 / 4) = 0.2929
    assert agreement_said([quantity]) == [
        "BN of one: 52.00 and 54.00 % differ by no more than seeds explain: their standard deviation, 1.41 points, is "
        "1.4 times that of our seeds (53.00 ± 1.00 %, n = 3; F test, p = 0.29)."
    ]
    (apart,) = shared(40.0, 60.0, ours)
    assert "40.00 and 60.00 % differ by more than seeds explain" in agreement_said([apart])[0]
    rows = shared_table([quantity], ["one", "two"]).text(120).splitlines()
    assert rows[2].split() == ["BN", "of", "one", "52.00", "54.00", "53.00", "±", "1.00", "(n=3)", "2", "of", "2"]
    (not_run,) = shared(40.0, 60.0, None)
    assert agreement_said([not_run]) == []
