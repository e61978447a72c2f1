"""Findings on made-up runs: the numbers and the words."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from made_up_runs import make_run, make_sweep
from made_up_studies import make_networks, make_search, make_sensitivity

import kls.report.pictures
import kls.study.findings.trend
from kls.analysis.runs import Runs, read_runs
from kls.config.study_file import Comparison, Difference, Finding, Learning, Optimum, Study, Trend
from kls.errors import UserError
from kls.report.document import Picture, TableBlock
from kls.study.findings.common import Context
from kls.study.findings.comparison import comparison
from kls.study.findings.difference import difference, p_value
from kls.study.findings.learning import learning
from kls.study.findings.optimum import best_of
from kls.study.findings.trend import trend
from kls.study.page import KINDS, find_all
from kls.study.results import Results


@pytest.fixture(autouse=True)
def png_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (kls.report.pictures, kls.study.findings.trend):
        monkeypatch.setattr(module, "FORMATS", ("png",))


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return runs_of(make_networks, tmp_path_factory.mktemp("networks"))


def runs_of(make: Any, folder: Path) -> Runs:
    make(folder / "runs")
    return read_runs([folder / "runs"])


def told(runs: Runs, a: dict[str, Any], b: dict[str, Any], score: str = "test_accuracy", tests: int = 1) -> str:
    finding = Difference(kind="difference", what="batch norm", to="the net", step="s", a=a, b=b, score=score)
    p = p_value(finding, runs)
    return difference(finding, runs, Context(Path(), "", min(1.0, p * tests), tests))[0]


def rows(block: Any) -> list[list[str]]:
    assert isinstance(block, TableBlock)
    return [list(cells) for cells in zip(*(column.cells for column in block.table.columns), strict=True)]


def test_each_kind_of_finding_has_a_function() -> None:
    union, _ = get_args(Finding)
    assert {kind.model_fields["kind"].annotation.__args__[0] for kind in get_args(union)} == KINDS.keys()


def test_a_difference_by_pairs(networks: Runs) -> None:
    # 51 - 40, 52 - 30, 53 - 35: 11, 22, 18; mean 17, sd 5.5678, half t(2) * sd / sqrt(3) = 13.831, t = 5.2886
    assert told(networks, {"model": "9layer_bn"}, {"model": "9layer"}) == (
        "Batch norm raises the test accuracy of the net by 17.0 points (95 % interval +3.17 to +30.83; p = 0.034; "
        "paired "
        "by seed): 52.00 ± 1.00 % (n = 3) against 35.00 ± 5.00 % (n = 3) on CIFAR-10."
    )
    assert told(networks, {"model": "9layer"}, {"model": "9layer_bn"}).startswith(
        "Batch norm lowers the test accuracy of the net by 17.0 points (95 % interval -30.83 to -3.17;"
    )


def test_a_difference_that_holm_does_not_let_stand(networks: Runs) -> None:
    said = told(networks, {"model": "9layer_bn"}, {"model": "9layer"}, tests=2)
    # seen with 80 %: (t(0.975) + t(0.8)) sd / sqrt(3) = (4.3027 + 1.0607) * 3.2146 = 17.24
    assert said == (
        "Batch norm makes no difference to the test accuracy of the net that can be told from noise: +17.00 (95 % "
        "interval +3.17 to +30.83; p = 0.068 by Holm's method for 2 differences; paired by seed); "
        "52.00 ± 1.00 % (n = 3) against 35.00 ± 5.00 % (n = 3) on CIFAR-10. A difference of 17.2 points would have "
        "been "
        "seen with 80 %."
    )


def test_differences_of_single_runs_of_equal_ones_and_by_welch(networks: Runs) -> None:
    assert told(networks, {"model": "3layer_bn"}, {"model": "3layer", "seed": 1}) == (
        "Batch norm raises the test accuracy of the net by 0.50 points (one run on a side: no interval, this may be "
        "noise): "
        "53.50 ± 0.95 % (n = 3) against 53.00 % (n = 1) on CIFAR-10."
    )
    # every pair differs by -1, so Welch: dof 4, half 2.7764 * sqrt(2 / 3) = 2.267
    welch = told(networks, {"model": "9layer_bn"}, {"model": "3layer"})
    assert "-1.00 (95 % interval -3.27 to +1.27; p = 0.29; Welch)" in welch
    same = told(networks, {"model": "3layer"}, {"model": "3layer"})
    assert "makes no difference to the test accuracy of the net that can be told from noise: +0.00" in same
    assert "would have been seen" not in same


def test_a_difference_in_a_loss(tmp_path: Path) -> None:
    for model, losses in (("3layer", (1.2, 1.31, 1.4)), ("3layer_bn", (1.0, 1.1, 1.2))):
        for seed, loss in enumerate(losses):
            make_run(tmp_path / f"{model}{seed}", 0.5, model=model, seed=seed, metrics={"train_loss": loss})
    said = told(read_runs([tmp_path]), {"model": "3layer_bn"}, {"model": "3layer"}, "train_loss")
    assert said.startswith("Batch norm lowers the training loss of the net by 0.203 (95 % interval -0.218 to -0.189; ")
    assert said.endswith("1.100 ± 0.100 (n = 3) against 1.303 ± 0.100 (n = 3) on CIFAR-10.")


def test_what_cannot_be_compared_is_said(networks: Runs, tmp_path: Path) -> None:
    for seed, score in enumerate((0.1, 0.3, 0.4)):
        make_run(tmp_path / f"a{seed}", score, test=score, seed=seed, model="9layer")
        make_run(tmp_path / f"b{seed}", 0.5, test=0.5, seed=seed, model="9layer_bn")
    assert told(read_runs([tmp_path]), {"model": "9layer_bn"}, {"model": "9layer"}) == (
        "Batch norm, the test accuracy of the net: 50.00 ± 0.00 % (n = 3) against 2 of 3 seeds learn: 30.00 to 40.00 "
        "% on "
        "CIFAR-10. Means are not compared, since only some seeds learn."
    )
    with pytest.raises(UserError, match=r"the runs differ in .*model: 3layer, 3layer_bn, 9layer, 9layer_bn"):
        told(networks, {}, {"model": "9layer"})


def test_an_optimum(tmp_path: Path) -> None:
    finding = Optimum(kind="optimum", step="s", setting="lam")
    said, cells = best_of(finding, runs_of(make_search, tmp_path))
    assert said.startswith(
        "By a smooth curve through 5 runs (CIFAR-10, 20 epochs), validation accuracy is highest at lam "
    )
    assert "The highest single run, 55.00 % at lam 0.01, owes part of that to luck. " in said
    assert said.endswith(
        "Run again at lam 0.01 (CIFAR-10, 20 epochs): validation 54.00 ± 1.00 % (n = 3), test 53.00 ± 1.00 % (n = 3); "
        "the "
        "run that was chosen had 1.0 point more than this mean."
    )
    assert (cells["tried"], cells["again: validation"]) == ("5 runs", "54.00 ± 1.00 % (n = 3)")
    assert cells["epochs"] == "100"  # 5 runs of 20, without the confirmation
    with pytest.raises(UserError, match="fewer than two values of batch_size were tried"):
        best_of(finding.model_copy(update={"setting": "batch_size"}), read_runs([tmp_path]))


def test_a_run_that_two_stages_have_counts_once_for_the_optimum(tmp_path: Path) -> None:
    finding = Optimum(kind="optimum", step="s", setting="lam")
    for stage, lams in (("coarse", (1e-4, 1e-3, 1e-2)), ("fine", (1e-3, 3e-3, 1e-2))):
        for number, lam in enumerate(lams):
            make_run(tmp_path / "s" / stage / str(number), 0.5 + lam, lam=lam)
    lam = {"low": 1e-4, "high": 1e-2, "scale": "log"}
    make_sweep(tmp_path / "s", [{"name": name, "params": {"lam": lam}} for name in ("coarse", "fine")])
    said, cells = best_of(finding, read_runs([tmp_path]))
    assert said.startswith("By a smooth curve through 4 runs")
    assert cells["tried"] == "4 runs"
    make_run(tmp_path / "s" / "fine" / "3", 0.5, lam=1e-3, batch_size=50)
    with pytest.raises(UserError, match="the runs of lam differ in other settings: batch_size"):
        best_of(finding, read_runs([tmp_path]))


def test_an_optimum_confirmed_with_another_budget_and_at_an_end(tmp_path: Path) -> None:
    param = {"low": 1e-4, "high": 1e-1, "scale": "log"}
    stages: list[dict[str, Any]] = [{"name": "grid", "params": {"lam": param}}, {"name": "confirm", "confirm": True}]
    make_sweep(tmp_path, stages, status="finished")
    for i, (lam, seed) in enumerate(itertools.product((1e-4, 1e-3, 1e-2, 1e-1), range(3))):
        score = 0.55 + 0.04 * math.log10(lam) + 0.0001 * ((i * i) % 5)
        make_run(tmp_path / "grid" / str(i), score, lam=lam, seed=seed)
    make_run(tmp_path / "confirm" / "0", 0.5, lam=0.1, optimizer__schedule__cycles=4)
    said, cells = best_of(Optimum(kind="optimum", step="s", setting="lam"), read_runs([tmp_path]))
    assert cells["tried"] == "12 runs at 4 values"
    assert "The highest mean is 51.01 % at lam 0.1. It is the largest value tried: the optimum may lie beyond." in said
    assert said.endswith(
        "Run again at lam 0.1 (CIFAR-10, 40 epochs): validation 50.00 % (n = 1), test -; trained for another time "
        "than in the "
        "search, so the two are not compared."
    )


def test_learning(tmp_path: Path) -> None:
    finding = Learning(kind="learning", step="s", setting="sigma", by="model")
    said, (_, table) = learning(finding, runs_of(make_sensitivity, tmp_path), Context(tmp_path, ""))
    assert said == (
        "3layer (9 runs): all seeds learn at sigma 0.1, 1 of 3 learn at sigma 0.001, none learns at sigma 0.0001. "
        "3layer_bn (9 runs): all seeds learn at every sigma."
    )
    assert rows(table) == [
        ["3layer", "3 of 3: 53.00 %", "1 of 3: 50.00 %", "0 of 3"], ["3layer_bn", *["3 of 3: 50.00 to 52.00 %"] * 3],
    ]  # fmt: skip


def test_kinds_that_learn_alike_share_a_sentence(tmp_path: Path) -> None:
    learns = {1e-12: (1, 1), 1e-8: (1, 1), 1e-6: (1, 0), 1e-3: (0, 0), 1e-2: (1, 0)}
    for epsilon, ends in learns.items():
        for sigma, learnt in zip((0.1, 1e-3), ends, strict=True):
            score = 0.4 if learnt else 0.114  # five standard deviations of a guess on 10,000 pictures are 0.015
            own = {"model__bn__epsilon": epsilon, "model__init__sigma": sigma}
            make_run(tmp_path / f"{epsilon}-{sigma}", score, test=score, **own)
    finding = Learning(kind="learning", step="s", setting="sigma", by="epsilon")
    assert learning(finding, read_runs([tmp_path]), Context(tmp_path, ""))[0] == (
        "Epsilon 1e-12 and epsilon 1e-08 (2 runs each): all seeds learn at every sigma. Epsilon 1e-06 and epsilon "
        "0.01 (2 "
        "runs each): all seeds learn at sigma 0.1, none learns at sigma 0.001. Epsilon 0.001 (2 runs): none learns at "
        "any "
        "sigma."
    )


def test_a_comparison(tmp_path: Path) -> None:
    """Validation chooses, and test accuracies are shown; of two kinds one has two momenta."""
    scores = {(20, "ema", 0.5): 0.30, (20, "ema", 0.9): 0.45, (20, "precise", 0.9): 0.452,
              (100, "ema", 0.5): 0.52, (100, "ema", 0.9): 0.50}  # fmt: skip
    noise = ((0.0, 0.003, 0.001), (0.002, 0.0, 0.004), (0.003, 0.001, 0.0))
    for i, ((size, kind, momentum), score) in enumerate(scores.items()):
        own = {"batch_size": size, "model__bn__statistics": kind, "model__bn__momentum": momentum}
        for seed in range(3):
            value = score + noise[i % 3][seed]
            make_run(tmp_path / "r" / f"{i}-{seed}", value, test=value - 0.01, seed=seed, **own)
    finding = Comparison(
        kind="comparison", what="statistics", step="s", setting="batch_size", by=["bn.statistics", "bn.momentum"]
    )
    runs = read_runs([tmp_path / "r"])
    said, (_, table, picture) = comparison(finding, runs, Context(tmp_path, "report-"))
    assert said == (
        "Statistics, test accuracy on CIFAR-10, best by validation (Holm's method for all pairs at a batch_size): at "
        "batch_size 20 all are tied but these, which are below: statistics ema, bn.momentum 0.5 29.13 ± 0.15 % (n = 3)"
        "; at batch_size 100 it is bn.momentum 0.5 51.13 ± 0.15 % (n = 3); below: bn.momentum 0.9 49.20 ± 0.20 % "
        "(n = 3)."
    )
    assert rows(table)[2] == ["statistics precise", "44.33 ± 0.15 % (n = 3)", "-"]
    assert isinstance(picture, Picture)
    assert (tmp_path / "report-comparison.png").is_file()
    with pytest.raises(UserError, match=r"differ in bn.momentum: 0.5, 0.9"):  # not pooled
        comparison(finding.model_copy(update={"by": ["bn.statistics"]}), runs, Context(tmp_path, ""))


def test_a_trend_of_differences(tmp_path: Path) -> None:
    """Gains of 41, 42 and 40 points at 1e-4, of 21, 20.5 and 19.5 at 1e-3: slopes -20, -21.5 and -20.5 a decade."""
    gains = {1e-4: (0.41, 0.42, 0.40), 1e-3: (0.21, 0.205, 0.195), 1e-2: (0.005, 0.0, -0.005)}
    for sigma, own in gains.items():
        for seed, gain in enumerate(own):
            for model, score in (("3layer", 0.2 + 0.1 * seed), ("3layer_bn", 0.2 + 0.1 * seed + gain)):
                run = tmp_path / "r" / f"{sigma}{model}{seed}"
                make_run(run, score, test=score, model=model, model__init__sigma=sigma, seed=seed)
    finding = Trend(kind="trend", what="what it adds", step="s", setting="sigma", of="bn.enabled")
    said, blocks = trend(finding, read_runs([tmp_path / "r"]), Context(tmp_path, "report-"))
    # slopes of the seeds: -20.25, -21.00 and -20.25; mean -20.5, sd 0.433, half t(2) * sd / sqrt(3) = 1.0757
    assert said.startswith(
        "What it adds: difference in test accuracy on CIFAR-10 falls with sigma by -20.50 points a decade of sigma "
        "(95 % "
        "interval -21.58 to -19.42; 3 seeds; lack of fit p = "
    )
    assert said.endswith("it is lowest, 0.00 points at sigma 0.01, and highest, 41.00 points at sigma 0.0001.")
    table = rows(blocks[1])
    # 41 ± t(2) / sqrt(3)
    assert table[0] == ["0.0001", "30.00 ± 10.00 % (n = 3)", "71.00 ± 9.54 % (n = 3)", "41.00", "38.52 to 43.48"]
    assert (tmp_path / "report-trend.png").is_file()


def test_no_trend_of_samples_with_two_modes_nor_of_names(networks: Runs, tmp_path: Path) -> None:
    finding = Trend(kind="trend", what="what it adds", step="s", setting="sigma", of="bn.enabled")
    with pytest.raises(UserError, match=r"with model.init.sigma 0.001 some seeds learn and others do not"):
        trend(finding, runs_of(make_sensitivity, tmp_path), Context(tmp_path, ""))
    with pytest.raises(UserError, match="a trend is one of numbers, with model and of test_accuracy"):
        trend(finding.model_copy(update={"setting": "model", "of": None}), networks, Context(tmp_path, ""))


def sized(folder: Path, scores: dict[int, tuple[float, ...]]) -> Runs:
    for size, own in scores.items():
        for seed, score in enumerate(own):
            make_run(folder / "r" / f"{size}-{seed}", score, test=score, batch_size=size, seed=seed)
    return read_runs([folder / "r"])


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        # slopes a seed: 0.04, 0.039 and 0.041 points a unit; half t(2) * 0.001 / sqrt(3) = 0.0025
        ({50: (0.5, 0.51, 0.52), 100: (0.519, 0.531, 0.54), 150: (0.54, 0.549, 0.561)},
         r"rises with batch_size by \+0\.040 points a unit of batch_size \(95 % interval 0\.038 to 0\.042; 3 seeds; "
         r"lack of fit p = 1\): it is lowest, 51\.00 % at batch_size 50, and highest, 55\.00 % at batch_size 150\."),
        ({50: (0.5, 0.53, 0.52), 100: (0.52, 0.51, 0.53), 150: (0.53, 0.5, 0.52)},
         r"does not move with batch_size in a way that can be told from noise, by .*0\.0\d+ points a unit"),
        ({50: (0.5, 0.51, 0.52), 100: (0.6, 0.611, 0.621), 150: (0.501, 0.51, 0.52)},
         r"follows no straight line in batch_size \(3 seeds; lack of fit p < 0\.001\): it is lowest, "),
    ],
)  # fmt: skip
def test_a_trend_says_what_its_interval_and_its_fit_bear(
    tmp_path: Path, scores: dict[int, tuple[float, ...]], said: str
) -> None:
    finding = Trend(kind="trend", what="batches", step="s", setting="batch_size")
    sentence, _ = trend(finding, sized(tmp_path, scores), Context(tmp_path, ""))
    assert sentence.startswith("Batches: test accuracy on CIFAR-10 ")
    assert re.search(said, sentence), sentence


def test_a_trend_of_one_seed(tmp_path: Path) -> None:
    finding = Trend(kind="trend", what="batches", step="s", setting="batch_size")
    said, _ = trend(finding, sized(tmp_path, {50: (0.5,), 100: (0.52,)}), Context(tmp_path, ""))
    extremes = "is lowest, 50.00 % at batch_size 50, and highest, 52.00 % at batch_size 100"
    assert said.endswith(f"{extremes}; one seed tells no trend.")


def test_a_trend_of_the_best_value(tmp_path: Path) -> None:
    """The best lambda is 1 over the size, but for the seeds; at an end of the grid it is censored."""
    lams = [10.0 ** (k / 2) for k in range(-10, -1)]
    for i, (size, lam, seed) in enumerate(itertools.product((100, 1000, 10000), lams, range(3))):
        away = math.log10(lam * size) + 0.1 * (seed - 1)
        make_run(tmp_path / "r" / str(i), 0.5 - 0.01 * away**2, lam=lam, batch_size=size, seed=seed)
    finding = Trend(kind="trend", what="best lambda", step="s", setting="batch_size", of="lam", score="val_accuracy")
    said, blocks = trend(finding, read_runs([tmp_path / "r"]), Context(tmp_path, ""))
    assert said.startswith("Best lambda: best lam on CIFAR-10 falls with batch_size as batch_size to the power -1.0")
    assert "; 3 seeds" in said
    assert "beyond" not in said
    assert [row[0] for row in rows(blocks[1])] == ["100", "1000", "10000"]
    assert float(rows(blocks[1])[1][1]) == pytest.approx(1e-3, rel=0.05)


def test_a_best_value_that_does_not_move_is_called_so_and_ends_are_counted(tmp_path: Path) -> None:
    for i, (size, lam, seed) in enumerate(itertools.product((100, 1000, 10000), (1e-3, 1e-2, 1e-1), range(3))):
        away = math.log10(lam) + 2.0 + 0.2 * math.sin(7.0 * i // 3 * (seed + 1))
        make_run(tmp_path / "r" / str(i), 0.5 - 0.02 * away**2, lam=lam, batch_size=size, seed=seed)
    finding = Trend(kind="trend", what="best lambda", step="s", setting="batch_size", of="lam", score="val_accuracy")
    said, _ = trend(finding, read_runs([tmp_path / "r"]), Context(tmp_path, ""))
    assert "does not move with batch_size in a way that can be told from noise, as batch_size to the power" in said


def test_findings_of_a_study_are_corrected_together_and_say_what_is_not_known(tmp_path: Path) -> None:
    make_networks(tmp_path / "steps" / "networks")
    findings = [
        {"kind": "difference", "what": "it", "to": "x", "step": "n", "a": {"model": a}, "b": {"model": b}}
        for a, b in (("9layer_bn", "9layer"), ("3layer_bn", "3layer"), ("2layer", "3layer"))
    ]
    step = {"name": "n", "folder": "networks", "what": "", "sweep": "networks"}
    study = Study.model_validate({"key": "k", "title": "", "asked": "", "steps": [step], "findings": findings})
    found = find_all(study, {"n": Results(tmp_path).step(study.steps[0])}, tmp_path)
    # 0.5, 0.6 and 0.4: mean 0.5, sd 0.1, t = 8.66, p = 0.0131, twice that is 0.026; 0.034 stays
    assert "p = 0.034 by Holm's method for 2 differences" in found[0].sentence
    assert "p = 0.026 by Holm's method for 2 differences" in found[1].sentence
    assert found[2].sentence == "It: not known, no run with model = 2layer."
