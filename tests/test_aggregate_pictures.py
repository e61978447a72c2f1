"""Which pictures the runs allow, and what of the runs they show."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_runs import make_run, make_sweep

import kls.aggregate.pictures
from kls.aggregate.collect import collect
from kls.aggregate.heat_grid import HeatGrid, heat_grid
from kls.aggregate.pictures import Gallery
from kls.aggregate.search_trials import SearchTrials, search_trials
from kls.aggregate.sections import Section, sections
from kls.aggregate.summarise import summarise
from kls.aggregate.varying import run_table


def gallery(
    folder: Path, out: Path, *by: str, metric: str = "val_accuracy", warnings: list[str] | None = None
) -> Gallery:
    found = collect([folder], pytest.fail)
    table = run_table(found.runs)
    summary = summarise(table, by, metric)
    stages = [stage.name for sweep in found.sweeps.values() for stage in sweep.stages]
    (section,) = sections(table, summary, stages)
    warn = pytest.fail if warnings is None else warnings.append
    return Gallery(out, 1, section, summary, found.runs, table, found.sweeps, warn)


def trials_of(folder: Path, *by: str, metric: str = "val_accuracy") -> SearchTrials | None:
    g = gallery(folder, folder, *by, metric=metric)
    return search_trials(g.section, g.summary, g.sweeps, g.table)


def grid_of(folder: Path, *by: str) -> HeatGrid | None:
    g = gallery(folder, folder, *by)
    return heat_grid(g.section.groups, g.summary, list(g.table.frame.columns))


def searched(low: float | None, high: float | None, scale: str, values: list[Any] | None = None) -> dict[str, Any]:
    return {"low": low, "high": high, "scale": scale, "values": values, "source": "given"}


def make_search(folder: Path) -> Path:
    params = {
        "b_coarse": {"lam": searched(1e-5, 0.1, "log"), "model.dropout": searched(0.0, 0.5, "linear")},
        "a_fine": {"lam": searched(None, None, "linear", [0.001, 0.01])},
        "confirm": {"lam": searched(None, None, "linear", [0.01]), "seed": searched(None, None, "linear", [0, 1])},
        "later": {},
    }
    make_sweep(folder, [{"name": name, "params": part} for name, part in params.items()])
    make_run(folder / "b_coarse" / "0", 0.40, lam=0.001, model__dropout=0.1)
    make_run(folder / "b_coarse" / "1", 0.60, lam=0.01, model__dropout=0.2)
    make_run(folder / "b_coarse" / "2", 0.10, lam=0.1, model__dropout=0.3, status="diverged")
    make_run(folder / "b_coarse" / "3", status="failed", lam=0.05)
    make_run(folder / "a_fine" / "0", 0.45, lam=0.001, model__dropout=0.2)
    make_run(folder / "a_fine" / "1", 0.50, lam=0.01, model__dropout=0.2)
    make_run(folder / "confirm" / "0", 0.48, lam=0.01, seed=0, model__dropout=0.2)
    make_run(folder / "confirm" / "1", 0.50, lam=0.01, seed=1, model__dropout=0.2)
    return folder


def test_a_search_shows_the_trials_of_each_stage_and_the_winner_of_the_last(tmp_path: Path) -> None:
    trials = trials_of(make_search(tmp_path))
    assert trials is not None
    assert trials.n == 7
    assert trials.best == "best: confirm, lam 0.01, dropout 0.2: val accuracy 49.00 ± 1.41 % (n=2)"
    lam, dropout = trials.panels
    assert (lam.setting, lam.log, dropout.setting, dropout.log) == ("lam", True, "dropout", False)
    assert [stage.name for stage in lam.stages] == ["b_coarse", "a_fine", "confirm"]
    assert [stage.x.tolist() for stage in lam.stages] == [[0.001, 0.01, 0.1], [0.001, 0.01], [0.01, 0.01]]
    assert [stage.y.tolist() for stage in lam.stages] == [[40.0, 60.0, 10.0], [45.0, 50.0], [48.0, 50.0]]
    assert [stage.diverged.tolist() for stage in lam.stages] == [[False, False, True], [False] * 2, [False] * 2]
    assert [stage.interval for stage in lam.stages] == [(1e-5, 0.1), (0.001, 0.01), (0.01, 0.01)]
    assert [stage.interval for stage in dropout.stages] == [(0.0, 0.5), None, None]
    assert (lam.best, dropout.best) == ((0.01, 49.0), (0.2, 49.0))


def test_a_search_without_a_sweep_takes_settings_of_four_values_or_more(tmp_path: Path) -> None:
    for i in range(4):
        make_run(
            tmp_path / str(i), 0.4 + 0.01 * i, lam=10.0**-i, model__dropout=0.1 * i, seed=i, batch_size=100 + i % 3
        )
    trials = trials_of(tmp_path)
    assert trials is not None
    assert [(panel.setting, panel.log) for panel in trials.panels] == [("lam", True), ("dropout", False)]
    (stage,) = trials.panels[0].stages
    assert (stage.x.tolist(), stage.interval) == ([1.0, 0.1, 0.01, 0.001], None)
    assert trials.panels[0].best == (pytest.approx(0.001), pytest.approx(43.0))
    make_run(tmp_path / "4", 0.5, lam=0.5)
    by_model = trials_of(tmp_path, "batch_size")
    assert by_model is not None
    assert [panel.best for panel in by_model.panels] == [None, None]


@pytest.mark.parametrize(("values", "log"), [((1.0, 2.0, 3.0, 49.0), False), ((1.0, 2.0, 3.0, 50.0), True),
                                             ((0.0, 0.1, 1.0, 9.0), True), ((-1.0, 0.1, 1.0, 9.0), False)])  # fmt: skip
def test_an_axis_is_logarithmic_where_positive_values_span_enough(
    tmp_path: Path, values: tuple[float, ...], log: bool
) -> None:
    for i, value in enumerate(values):
        make_run(tmp_path / str(i), 0.5, lam=value)
    trials = trials_of(tmp_path)
    assert trials is not None
    assert trials.panels[0].log is log


@pytest.mark.parametrize("sweeps", [0, 2])
def test_there_is_no_search_of_few_values_or_of_two_sweeps(tmp_path: Path, sweeps: int) -> None:
    for i in range(3):
        make_run(tmp_path / "plain" / str(i), 0.5, lam=0.1 * i, model="3layer", model__hidden=[i + 1])
    for i in range(sweeps):
        make_run(make_search(tmp_path / str(i)) / "a_fine" / "9", 0.5, lam=0.02 + 0.01 * i)
    assert trials_of(tmp_path) is None


@pytest.mark.parametrize(("n", "shown"), [(3, False), (4, True)])
def test_values_that_a_stage_lists_are_a_search_if_they_are_four(tmp_path: Path, n: int, shown: bool) -> None:
    sizes = [10, 20, 30, 40][:n]
    make_sweep(tmp_path, [{"name": "grid", "params": {"batch_size": searched(None, None, "linear", sizes)}}])
    for i, size in enumerate(sizes):
        make_run(tmp_path / "grid" / str(i), 0.5, batch_size=size)
    assert (trials_of(tmp_path) is not None) is shown


def test_losses_are_searched_for_the_smallest(tmp_path: Path) -> None:
    trials = trials_of(make_search(tmp_path), metric="val_loss")
    assert trials is not None
    assert trials.panels[0].stages[0].y.tolist() == pytest.approx([1.5, 1.1, np.inf])
    assert "val loss 1.32 ± 0.02828 (n=2)" in trials.best


def make_grid(folder: Path) -> None:
    number = 0
    for model, base in (("3layer", 0.5), ("3layer_bn", 0.52), ("9layer_bn", 0.48), ("9layer", 0.45)):
        for sigma, loss in ((0.1, 0.0), (None, 0.01), (1e-3, 0.3)):
            for seed in (0, 1):
                score = base - (0.0 if "bn" in model else loss) + 0.02 * seed
                init = {"scheme": "he" if "bn" in model else "xavier", "sigma": sigma}
                make_run(folder / str(number), score, model=model, model__init=init, seed=seed)
                number += 1


def test_the_heat_map_has_sigma_across_batch_norm_down_and_a_panel_for_each_depth(tmp_path: Path) -> None:
    make_grid(tmp_path)
    make_run(tmp_path / "failed", status="failed", model="3layer", model__init__sigma=5.0)
    grid = grid_of(tmp_path)
    assert grid is not None
    assert grid.columns == ("sigma", ["0.001", "0.1", "-"])
    assert grid.rows == ("bn.enabled", ["false", "true"])
    panels = {panel.title: panel for panel in grid.panels}
    assert set(panels) == {"hidden [50, 50]", "hidden [50, 30, 20, 20, 10, 10, 10, 10]"}
    np.testing.assert_allclose(panels["hidden [50, 50]"].means, [[21.0, 51.0, 50.0], [53.0, 53.0, 53.0]], rtol=1e-12)
    assert panels["hidden [50, 50]"].counts.tolist() == [[2, 2, 2], [2, 2, 2]]
    assert grid.n == 24


def test_a_missing_cell_of_the_heat_map_stays_empty(tmp_path: Path) -> None:
    for i, (sigma, bn) in enumerate([(0.1, True), (0.1, False), (0.2, True)]):
        make_run(tmp_path / str(i), 0.5, model__init__sigma=sigma, model__bn__enabled=bn)
    grid = grid_of(tmp_path)
    assert grid is not None
    (panel,) = grid.panels
    assert panel.title == ""
    np.testing.assert_array_equal(panel.means, [[50.0, np.nan], [50.0, 50.0]])
    assert panel.counts.tolist() == [[1, 0], [1, 1]]


def test_another_setting_takes_the_place_of_batch_norm(tmp_path: Path) -> None:
    for i, (sigma, lam) in enumerate([(0.1, 0.01), (0.1, 0.02), (0.2, 0.01), (0.2, 0.02)]):
        make_run(tmp_path / str(i), 0.5, model__init__sigma=sigma, lam=lam)
    grid = grid_of(tmp_path)
    assert grid is not None
    assert (grid.rows, grid.columns) == (("lam", ["0.01", "0.02"]), ("sigma", ["0.1", "0.2"]))


def test_there_is_no_heat_map_without_a_grid_of_sigma(tmp_path: Path) -> None:
    make_run(tmp_path / "0", lam=0.1)
    make_run(tmp_path / "1", lam=0.2)
    assert grid_of(tmp_path) is None
    for i in range(13):
        make_run(tmp_path / f"many{i}", lam=0.1, model__init__sigma=0.1 + 0.01 * i)
    assert grid_of(tmp_path) is None
    for i in range(7):
        make_run(
            tmp_path / "panels" / str(i), batch_size=100 + i, model__init__sigma=0.1 * (i % 2 + 1), lam=0.1 * (i % 2)
        )
    assert grid_of(tmp_path / "panels") is None
    make_run(tmp_path / "alone" / "0", model__init__sigma=0.1)
    make_run(tmp_path / "alone" / "1", model__init__sigma=0.2)
    assert grid_of(tmp_path / "alone") is None


def test_curves_are_of_the_run_nearest_the_mean_of_each_of_the_best_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, score in enumerate((0.50, 0.56, 0.59)):
        make_run(tmp_path / "runs" / f"a{seed}", score, lam=0.1, seed=seed, history=4 + seed)
    make_run(tmp_path / "runs" / "b", 0.3, lam=0.2, history=2)
    make_run(tmp_path / "runs" / "c", 0.2, lam=0.3, history=2)
    drawn: list[Any] = []
    monkeypatch.setattr(kls.aggregate.pictures, "plot_comparison", lambda *arguments: drawn.extend(arguments))
    gallery(tmp_path / "runs", tmp_path).draw(2)
    curves, path, title = drawn
    assert [curve.label for curve in curves] == [
        "lam 0.1: val accuracy 56.00 % (nearest the mean of 3)",
        "lam 0.2: val accuracy 30.00 %",
    ]
    assert curves[0].epoch.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert curves[0].accuracy[-1] == 0.56
    assert curves[1].loss.tolist() == pytest.approx([2.3, 1.8, 1.3])
    assert path == tmp_path / "curves.png"
    assert title == "Learning curves on CIFAR-10, one run of each of the 2 best of 3 groups"


def test_a_run_without_history_is_told_and_left_out(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, lam=0.1)
    make_run(tmp_path / "1", 0.4, lam=0.2, history=1)
    make_run(tmp_path / "2", 0.3, lam=0.3)
    (tmp_path / "2" / "history.csv").write_text((tmp_path / "1" / "history.csv").read_text().splitlines()[0] + "\n")
    warnings: list[str] = []
    pictures = gallery(tmp_path, tmp_path, warnings=warnings).draw(3)
    assert [picture.file_name for picture in pictures] == ["curves.png"]
    assert "one run of each of the 1 best of 3 groups" in pictures[0].caption
    assert [warning.split(":")[0] for warning in warnings] == ["no curve", "no curve"]
    assert warnings[1].endswith("its history is empty")


def test_boxes_are_of_groups_with_three_seeds_that_are_not_far_from_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for lam, scores in ((0.1, (0.50, 0.51, 0.52)), (0.2, (0.47, 0.49)), (0.3, (0.40, 0.42, 0.44)), (0.4, (0.1,) * 3)):
        for seed, score in enumerate(scores):
            make_run(tmp_path / "runs" / f"{lam}-{seed}", score, lam=lam, seed=seed)
    drawn: list[Any] = []
    monkeypatch.setattr(kls.aggregate.pictures, "plot_seeds", lambda *arguments: drawn.extend(arguments))
    (search, picture) = gallery(tmp_path / "runs", tmp_path).draw(0)
    assert search.file_name == "search.png"
    boxes, label, _, title = drawn
    assert [(name, values.tolist()) for name, values in boxes] == [
        ("lam 0.1", [50.0, 51.0, 52.0]),
        ("lam 0.3", [40.0, 42.0, 44.0]),
    ]
    assert label == "Validation accuracy (%)"
    assert title == picture.caption == "Spread over seeds on CIFAR-10, n = 3 a group, best 2 of 3 groups"


def test_a_box_of_one_group_among_several_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for lam, scores in ((0.1, (0.50, 0.51, 0.52)), (0.2, (0.1, 0.11, 0.1))):
        for seed, score in enumerate(scores):
            make_run(tmp_path / str(lam) / str(seed), score, lam=lam, seed=seed)
    assert gallery(tmp_path, tmp_path).draw(0) == []
    drawn: list[Any] = []
    monkeypatch.setattr(kls.aggregate.pictures, "plot_seeds", lambda *arguments: drawn.extend(arguments))
    assert len(gallery(tmp_path / "0.1", tmp_path).draw(0)) == 1
    assert [label for label, _ in drawn[0]] == ["all runs"]


def test_pictures_of_two_seeds_and_two_settings_are_curves_alone(tmp_path: Path) -> None:
    for i in range(4):
        make_run(tmp_path / str(i), 0.5, lam=0.1 * (i % 2), seed=i // 2, history=1)
    assert [picture.file_name for picture in gallery(tmp_path, tmp_path).draw(5)] == ["curves.png"]
    assert gallery(tmp_path, tmp_path).draw(0) == []


def test_a_data_sets_groups_stand_with_those_of_the_last_stage_first(tmp_path: Path) -> None:
    g = gallery(make_search(tmp_path), tmp_path)
    assert isinstance(g.section, Section)
    assert g.section.groups["stage"].tolist() == [
        "confirm",
        "a_fine",
        "a_fine",
        "b_coarse",
        "b_coarse",
        "b_coarse",
        "b_coarse",
    ]
    means = g.section.groups["val_accuracy_mean"].tolist()
    assert means[:6] == pytest.approx([0.49, 0.5, 0.45, 0.6, 0.4, 0.1])
