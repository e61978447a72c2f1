"""Groups, means and intervals of hand-written runs against values computed by hand; sections and samples."""

import math
from pathlib import Path
from typing import Any

import pytest
from made_up_runs import make_failed_start, make_run, make_sweep

from kls.analysis.groups import Groups, group_runs, sections
from kls.analysis.pivot import select
from kls.analysis.runs import Runs, read_runs
from kls.errors import UserError

T4 = 2.7764451051977934  # Student's t for four degrees of freedom, 0.975
PARTS = ("kind", "eta_min", "eta_max", "n_s", "eta_max_factor", "cycles")
SCHEDULE = [f"optimizer.schedule.{part}" for part in PARTS]


def runs_of(folder: Path) -> Runs:
    runs = read_runs([folder])
    assert runs.warnings == []
    return runs


def groups_of(folder: Path, *by: str, score: str = "val_accuracy") -> Groups:
    return group_runs(runs_of(folder), score, by)


def rows(groups: Groups, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(None if v != v else v for v in row) for row in groups.table[list(columns)].to_numpy().tolist()]


def test_mean_sd_and_interval_over_seeds(tmp_path: Path) -> None:
    for seed, score in enumerate([0.50, 0.52, 0.54, 0.56, 0.58]):
        make_run(tmp_path / str(seed), score, test=score - 0.01, seed=seed, lam=0.01)
    make_run(tmp_path / "5", 0.6, seed=0, lam=0.1)
    groups = groups_of(tmp_path)
    assert (groups.keys, groups.scores) == (["lam"], ["val_accuracy", "test_accuracy"])
    assert rows(groups, "lam", "runs", "val_accuracy_n", "test_accuracy_n") == [(0.01, 5, 5, 5), (0.1, 1, 1, 0)]
    group, single = (groups.table.loc[i] for i in (0, 1))
    # squared deviations 0.04^2 (2 + 0.5) = 0.004, over n - 1 = 4: the variance is 0.001
    sd, half = math.sqrt(0.001), T4 * math.sqrt(0.001 / 5)
    assert group["val_accuracy_mean"] == pytest.approx(0.54, rel=1e-14)
    assert group["val_accuracy_sd"] == pytest.approx(sd, rel=1e-12)
    assert group["val_accuracy_low"] == pytest.approx(0.54 - half, rel=1e-12)
    assert group["val_accuracy_high"] == pytest.approx(0.54 + half, rel=1e-12)
    assert group["test_accuracy_mean"] == pytest.approx(0.53, rel=1e-14)
    assert single["val_accuracy_mean"] == 0.6
    assert all(math.isnan(single[f"val_accuracy_{part}"]) for part in ("sd", "low", "high"))
    assert math.isnan(single["test_accuracy_mean"])
    assert (groups.member.tolist(), groups.first) == ([0, 0, 0, 0, 0, 1], [0, 5])
    assert (groups.averaged_over, groups.repeated, groups.seeds_text) == (["seed"], 0, "means over seed")
    assert groups.labels() == ["lam 0.01", "lam 0.1"]
    sample = groups.samples(0, "test_accuracy")
    assert (sample.n, sample.mean, sample.sd) == (5, pytest.approx(0.53), pytest.approx(sd))
    assert (sample.interval.low, sample.data) == (pytest.approx(0.53 - half, rel=1e-12), "CIFAR-10")
    assert sample.values.index.tolist() == [(seed, seed, 0) for seed in range(5)]


def test_two_runs_have_an_interval_of_one_degree_of_freedom(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.50, seed=0)
    make_run(tmp_path / "1", 0.52, seed=1)
    group = groups_of(tmp_path).table.loc[0]
    assert group["val_accuracy_sd"] == pytest.approx(0.02 / math.sqrt(2), rel=1e-12)
    assert group["val_accuracy_low"] == pytest.approx(0.51 - 12.706204736174694 * 0.01, rel=1e-12)


def test_all_kinds_of_seeds_are_averaged_over_and_named(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, seed=0, order_seed=0)
    make_run(tmp_path / "1", 0.6, seed=0, order_seed=1)
    make_run(tmp_path / "2", 0.7, seed=1, order_seed=1, data__split_seed=1)
    make_run(tmp_path / "3", 0.7, seed=1, order_seed=1, data__split_seed=2)
    groups = groups_of(tmp_path)
    assert rows(groups, "val_accuracy_n") == [(4,)]
    assert groups.seeds_text == "means over seed, order_seed and split_seed"
    assert groups_of(tmp_path / "0").seeds_text == "one run each"


def test_every_differing_setting_but_seeds_and_manner_parts_the_runs(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, seed=0, name="a", threads=1, checkpoint_seconds=1.0, data__root="x")
    make_run(tmp_path / "1", 0.6, seed=1, name="b", threads=2, checkpoint_seconds=2.0, data__root="y")
    make_run(tmp_path / "2", 0.7, seed=0, order_seed=4)
    make_run(tmp_path / "3", 0.4, seed=0, model__hidden=[100], model__dropout=[0.5])
    make_run(tmp_path / "4", 0.3, seed=0, optimizer={"kind": "adam", "beta1": 0.9})
    runs = runs_of(tmp_path)
    differing = ["model.hidden", "model.dropout", "optimizer.kind", "optimizer.momentum", *SCHEDULE, "optimizer.beta1"]
    assert runs.differing() == ["seed", "order_seed", *differing]
    groups = group_runs(runs)
    expected = [("[50, 50]", 0.0, "sgd", 3), ("[100]", "[0.5]", "sgd", 1), ("[50, 50]", 0.0, "adam", 1)]
    assert rows(groups, "model.hidden", "model.dropout", "optimizer.kind", "val_accuracy_n") == expected
    assert groups.keys == ["model.hidden", "optimizer.kind"]  # which settle the others


def test_a_number_settles_no_other_setting(tmp_path: Path) -> None:
    for i, (lam, dropout) in enumerate([(0.1, 0.3), (0.2, 0.5), (0.3, 0.5)]):
        make_run(tmp_path / str(i), 0.5 - 0.1 * i, lam=lam, model__dropout=dropout)
    assert groups_of(tmp_path).labels() == ["lam 0.1, dropout 0.3", "lam 0.2, dropout 0.5", "lam 0.3, dropout 0.5"]


def test_values_that_are_the_same_make_one_group(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, lam=0.3, seed=0)
    make_run(tmp_path / "1", 0.6, lam=0.1 + 0.2, seed=1)
    assert rows(groups_of(tmp_path), "val_accuracy_n") == [(2,)]


def test_the_best_has_the_highest_lower_end_by_validation(tmp_path: Path) -> None:
    scores = {0.1: [0.50, 0.51, 0.52], 0.2: [0.45, 0.55, 0.65], 0.3: [0.7], 0.4: [0.6], 0.5: [0.49, 0.50, 0.51]}
    for lam, values in scores.items():
        for seed, score in enumerate(values):
            make_run(tmp_path / f"{lam}-{seed}", score, test=1 - score, lam=lam, seed=seed)
    make_run(tmp_path / "running", status="running", lam=0.6)
    for score in ("val_accuracy", "test_accuracy", "val_loss"):
        groups = groups_of(tmp_path, score=score)
        assert groups.table["lam"].tolist() == [0.1, 0.5, 0.2, 0.3, 0.4, 0.6]
        assert groups.scores[0] == groups.score == score


def test_data_sets_budgets_and_sweeps_are_never_averaged_or_ranked_together(tmp_path: Path) -> None:
    make_sweep(tmp_path / "s", [{"name": "coarse"}])
    make_run(tmp_path / "0", 0.5, seed=0)
    make_run(tmp_path / "1", 0.7, seed=1, data="textures", fingerprint="ff")
    make_run(tmp_path / "2", 0.9, seed=2, fingerprint="ff")  # same name, other pictures
    make_run(tmp_path / "3", 0.6, seed=3)
    make_run(tmp_path / "4", 0.8, seed=4, optimizer__schedule__cycles=4)
    make_run(tmp_path / "s" / "coarse" / "0", 0.4, seed=5)
    runs = runs_of(tmp_path)
    expected = {("CIFAR-10", "00112233aabbccdd", None, 20.0): 0.55, ("textures", "ff", None, 20.0): 0.7}
    expected |= {("CIFAR-10", "ff", None, 20.0): 0.9, ("CIFAR-10", "00112233aabbccdd", None, 40.0): 0.8}
    expected |= {("CIFAR-10", "00112233aabbccdd", "s", 20.0): 0.4}
    for by in ((), ("lam",), ("status",)):
        groups = group_runs(runs, by=by)
        section = ("data", "pictures_fingerprint", "sweep", "planned_epochs")
        assert {row[:4]: row[4] for row in rows(groups, *section, "val_accuracy_mean")} == expected
    found = [(section.name, len(section.runs.frame)) for section in sections(runs)]
    cifar = "CIFAR-10, pictures 00112233aabbccdd"
    assert found == [
        (f"{cifar}, sweep s, 20 epochs", 1), (f"{cifar}, 40 epochs", 1), (f"{cifar}, 20 epochs", 2),
        ("textures, pictures ff, 20 epochs", 1), ("CIFAR-10, pictures ff, 20 epochs", 1),
    ]  # fmt: skip
    assert [section.name for section in sections(runs.chosen(runs.frame["folder"] == "0"))] == ["CIFAR-10, 20 epochs"]


def test_differently_augmented_test_pictures_are_other_data(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, test=0.5, seed=0)
    make_run(tmp_path / "1", 0.5, test=0.4, seed=1, data__test_augmentation__share=0.5)
    groups = groups_of(tmp_path, "lam")
    assert rows(groups, "data.test_augmentation.share", "test_accuracy_mean") == [(0.0, 0.5), (0.5, 0.4)]


@pytest.mark.parametrize("older", [False, True])
def test_diverged_runs_count_as_chance(tmp_path: Path, older: bool) -> None:
    make_run(tmp_path / "0", 0.5, seed=0, older=older)
    make_run(tmp_path / "1", 0.1, seed=1, status="diverged", older=older)
    groups = groups_of(tmp_path, score="val_loss")
    assert groups.scores == ["val_loss", "val_accuracy"]
    expected = (2, pytest.approx((1.3 + math.log(10)) / 2), 0.3, 1)
    assert rows(groups, "val_loss_n", "val_loss_mean", "val_accuracy_mean", "n_diverged") == [expected]


def test_runs_without_a_result_are_counted_and_not_averaged(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, seed=0)
    for i, status in enumerate(("failed", "failed", "running", "interrupted", "pruned"), start=1):
        make_run(tmp_path / str(i), status=status, seed=i, metrics={"val_accuracy": 0.9})
    counts = ("runs", "val_accuracy_n", "val_accuracy_mean", "n_diverged", "n_failed", "n_running", "n_interrupted")
    assert rows(groups_of(tmp_path), *counts, "n_pruned") == [(6, 1, 0.5, 0, 2, 1, 1, 1)]


def test_a_group_without_any_result_stays_in_the_table(tmp_path: Path) -> None:
    make_run(tmp_path / "0", status="running", lam=0.1)
    make_run(tmp_path / "1", 0.5)
    assert rows(groups_of(tmp_path), "lam", "val_accuracy_n", "val_accuracy_mean") == [(0.005, 1, 0.5), (0.1, 0, None)]


def test_a_run_that_failed_at_once_counts_where_it_alone_can_belong(tmp_path: Path) -> None:
    make_failed_start(tmp_path / "0", "no data", ["lam=0.1", "seed=7"])  # comes before its group
    make_run(tmp_path / "1", 0.5, lam=0.2)
    make_run(tmp_path / "2", 0.6, lam=0.1)
    make_failed_start(tmp_path / "3", "no data", ["seed=7"])  # lam is not known
    make_failed_start(tmp_path / "4", "no data", ["lam=3"])  # no such group
    groups = groups_of(tmp_path)
    expected = [("CIFAR-10", 0.1, 2, 1, 0.6), ("CIFAR-10", 0.2, 1, 0, 0.5)]
    assert rows(groups, "data", "lam", "runs", "n_failed", "val_accuracy_mean") == expected
    assert groups.member.tolist() == [0, 1, 0, -1, -1]
    (section,) = sections(runs_of(tmp_path))
    assert len(section.runs.frame) == 5


def test_a_run_that_failed_at_once_counts_nowhere_if_it_can_belong_to_two_groups(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, lam=0.1, batch_size=50)
    make_run(tmp_path / "1", 0.4, lam=0.1, batch_size=100)
    make_run(tmp_path / "2", 0.3, lam=0.2, batch_size=100)
    make_failed_start(tmp_path / "3", "no data", ["lam=0.1"])
    make_failed_start(tmp_path / "4", "no data", ["batch_size=100", "lam=0.1"])
    make_failed_start(tmp_path / "5", "no data", ["lam=0.2"])
    assert groups_of(tmp_path).member.tolist() == [0, 1, 2, -1, 1, 2]


def test_runs_that_all_failed_at_once_make_no_group(tmp_path: Path) -> None:
    make_failed_start(tmp_path / "0", "no data", ["lam=0.1"])
    make_failed_start(tmp_path / "1", "no data", ["lam=0.2", "model=3layer", "data=cifar10"])
    runs = runs_of(tmp_path)
    assert (len(group_runs(runs).table), sections(runs)) == (0, [])
    assert runs.tidy()["lam"].tolist() == [0.1, 0.2]


def test_a_repeated_run_is_averaged_once(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, seed=0)
    make_run(tmp_path / "1", 0.6, seed=1)
    make_run(tmp_path / "2", 0.5, seed=0, threads=2)
    make_run(tmp_path / "3", 0.7, seed=0, status="diverged", fingerprint="ff")
    groups = groups_of(tmp_path)
    assert rows(groups, "runs", "val_accuracy_n", "val_accuracy_mean") == [(3, 2, 0.55), (1, 1, 0.7)]
    assert groups.repeated == 1


def test_stages_are_kept_apart_unless_by_says_otherwise(tmp_path: Path) -> None:
    make_sweep(tmp_path, [{"name": "coarse"}, {"name": "fine"}])
    make_run(tmp_path / "coarse" / "0", 0.5, seed=0)
    make_run(tmp_path / "fine" / "0", 0.5, seed=0)
    make_run(tmp_path / "fine" / "1", 0.6, seed=1)
    columns = ("val_accuracy_n", "val_accuracy_mean")
    assert rows(groups_of(tmp_path), "stage", *columns) == [("fine", 2, 0.55), ("coarse", 1, 0.5)]
    groups = groups_of(tmp_path, "lam")
    assert rows(groups, *columns) == [(2, 0.55)]
    assert groups.repeated == 1  # the same seed in both stages is one result


def test_by_names_the_keys_and_the_rest_is_mixed(tmp_path: Path) -> None:
    for i, (model, lam, score) in enumerate([("3layer", 0.1, 0.5), ("3layer", 0.2, 0.6), ("9layer", 0.1, 0.4)]):
        make_run(tmp_path / str(i), score, model=model, lam=lam)
    groups = groups_of(tmp_path, "model")
    assert rows(groups, "model", "val_accuracy_mean", "val_accuracy_n") == [("3layer", 0.55, 2), ("9layer", 0.4, 1)]
    assert (groups.keys, groups.averaged_over, groups.seeds_text) == (["model"], ["lam"], "means over lam")
    assert groups.samples(0).values.index.tolist() == [(0, 0, 0, 0.1), (0, 0, 0, 0.2)]
    assert rows(groups_of(tmp_path, "hidden", "model"), "model.hidden", "model")[0] == ("[50, 50]", "3layer")
    with pytest.raises(UserError, match="lamb: there is no such column; did you mean lam"):
        groups_of(tmp_path, "lamb")
    with pytest.raises(UserError, match="no run has a test accuracy"):
        groups_of(tmp_path, score="test_accuracy")


def test_groups_are_sorted_by_stage_and_settings_or_by_a_column(tmp_path: Path) -> None:
    make_sweep(tmp_path, [{"name": "b_coarse"}, {"name": "a_fine"}])
    for i, (stage, lam, score) in enumerate([("a_fine", 0.2, 0.5), ("b_coarse", 10, 0.9), ("b_coarse", 9, 0.7)]):
        make_run(tmp_path / stage / str(i), score, lam=lam)
    make_run(tmp_path / "b_coarse" / "3", status="running", lam=None)
    groups = groups_of(tmp_path)

    def ordered(sort: str | None) -> list[Any]:
        return groups.table.loc[groups.order(sort), "lam"].tolist()

    assert groups.table["lam"].tolist() == [10, 9, 0.2, None]
    assert ordered(None) == [9, 10, None, 0.2]
    assert (ordered("val_accuracy"), ordered("-val_accuracy")) == ([0.2, 9, 10, None], [10, 9, 0.2, None])
    assert (ordered("lam"), ordered("-lam")) == ([0.2, 9, 10, None], [10, 9, 0.2, None])
    assert ordered("seconds") == ordered(None)  # which groups do not have
    with pytest.raises(UserError, match="there is no such column"):
        groups.order("-zzz")


@pytest.fixture
def networks(tmp_path: Path) -> Runs:
    """Two models at three lambdas, two seeds each; of 3layer the second lambda is the best."""
    for model, base in (("3layer", 0.5), ("9layer", 0.4)):
        for lam, change in ((0.001, 0.01), (0.01, 0.03), (0.1, -0.1)):
            for seed in (0, 1):
                score = base + change + 0.001 * seed
                folder = tmp_path / f"{model}-{lam}-{seed}"
                make_run(folder, score, test=score - 0.01, model=model, lam=lam, seed=seed)
    return runs_of(tmp_path)


def test_a_sample_of_runs_that_differ_in_seeds_alone(networks: Runs) -> None:
    sample = select(networks, {"model": "3layer", "lam": "1e-2"}, "test_accuracy")
    assert sample.values.tolist() == pytest.approx([0.52, 0.521])
    assert (sample.values.index.tolist(), sample.label) == ([(0, 0, 0), (1, 1, 0)], "")


def test_runs_that_differ_otherwise_are_refused_with_what_differs(networks: Runs) -> None:
    for where, message in (
        ({"model": "3layer"}, r"the runs with model = 3layer differ in lam: 0.001, 0.01, 0.1; name it"),
        ({}, r"the runs differ in model: 3layer, 9layer; lam: 0.001, 0.01, 0.1; name them"),
        ({"lam": 7}, "no run with lam = 7"),
        ({"lam": 0.01, "lamb": 7}, "lamb: there is no such column"),
    ):
        with pytest.raises(UserError, match=message):
            select(networks, where, "val_accuracy")
    with pytest.raises(UserError, match="no run has a training loss"):
        select(networks, {"model": "3layer", "lam": 0.01}, "train_loss")


def test_rank_and_near_choose_among_groups(networks: Runs) -> None:
    best = select(networks, {"model": "9layer"}, "test_accuracy", rank=1)
    assert (best.mean, best.label) == (pytest.approx(0.4205), "best of 3 by validation: lam 0.01")
    second = select(networks, {"model": "9layer"}, "val_accuracy", rank=2)
    assert (second.mean, second.label) == (pytest.approx(0.4105), "number 2 of 3 by validation: lam 0.001")
    near = select(networks, {"model": "9layer"}, "val_accuracy", near={"lam": 0.05})
    assert (near.mean, near.label) == (pytest.approx(0.3005), "nearest: lam 0.1")
    with pytest.raises(UserError, match="3 settings with model = 9layer have a result, so none is number 4"):
        select(networks, {"model": "9layer"}, "val_accuracy", rank=4)
    with pytest.raises(UserError, match=r"no run has a model\.hidden above 0"):
        select(networks, {}, "val_accuracy", near={"model.hidden": 3.0})


def test_no_rank_among_budgets(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5)
    make_run(tmp_path / "1", 0.6, optimizer__schedule__cycles=4)
    with pytest.raises(UserError, match="the runs differ in planned_epochs: 20, 40; name it"):
        select(runs_of(tmp_path), {}, "val_accuracy", rank=1)
