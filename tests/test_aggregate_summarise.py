"""Groups, means and intervals of hand-written runs, against values computed by hand."""

import math
from pathlib import Path
from typing import Any

import pytest
from made_up_runs import make_failed_start, make_run, make_sweep

from kls.aggregate.collect import collect
from kls.aggregate.summarise import Summary, summarise
from kls.aggregate.varying import RunTable, determined, run_table
from kls.errors import UserError

T4 = 2.7764451051977934  # Student's t for four degrees of freedom, 0.975


def table_of(folder: Path) -> RunTable:
    return run_table(collect([folder], lambda line: pytest.fail(line)).runs)


def summary_of(folder: Path, *by: str, metric: str = "val_accuracy") -> Summary:
    return summarise(table_of(folder), by, metric)


def rows(summary: Summary, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(None if v != v else v for v in row) for row in summary.groups[list(columns)].to_numpy().tolist()]


def test_mean_sd_and_interval_over_seeds(tmp_path: Path) -> None:
    for seed, score in enumerate([0.50, 0.52, 0.54, 0.56, 0.58]):
        make_run(tmp_path / str(seed), score, test=score - 0.01, seed=seed, lam=0.01)
    make_run(tmp_path / "5", 0.6, seed=0, lam=0.1)
    summary = summary_of(tmp_path)
    assert summary.keys == ["data", "data_fingerprint", "stage", "lam"]
    assert summary.scores == ["val_accuracy", "test_accuracy"]
    assert rows(summary, "lam", "runs", "val_accuracy_n", "test_accuracy_n") == [(0.1, 1, 1, 0), (0.01, 5, 5, 5)]
    single, group = (summary.groups.loc[i] for i in (0, 1))
    # squared deviations 0.04^2 (2 + 0.5) = 0.004, over n - 1 = 4: the variance is 0.001
    sd, half = math.sqrt(0.001), T4 * math.sqrt(0.001 / 5)
    assert group["val_accuracy_mean"] == pytest.approx(0.54, rel=1e-14)
    assert group["val_accuracy_sd"] == pytest.approx(sd, rel=1e-12)
    assert group["val_accuracy_low95"] == pytest.approx(0.54 - half, rel=1e-12)
    assert group["val_accuracy_high95"] == pytest.approx(0.54 + half, rel=1e-12)
    assert group["test_accuracy_mean"] == pytest.approx(0.53, rel=1e-14)
    assert single["val_accuracy_mean"] == 0.6
    assert all(math.isnan(single[f"val_accuracy_{part}"]) for part in ("sd", "low95", "high95"))
    assert math.isnan(single["test_accuracy_mean"])
    assert summary.group.tolist() == [1, 1, 1, 1, 1, 0]
    assert (summary.mixed, summary.repeated) == ([], 0)


def test_two_runs_have_an_interval_of_one_degree_of_freedom(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.50, seed=0)
    make_run(tmp_path / "1", 0.52, seed=1)
    group = summary_of(tmp_path).groups.loc[0]
    assert group["val_accuracy_sd"] == pytest.approx(0.02 / math.sqrt(2), rel=1e-12)
    assert group["val_accuracy_low95"] == pytest.approx(0.51 - 12.706204736174694 * 0.01, rel=1e-12)


def test_every_varying_setting_but_seeds_and_manner_parts_the_runs(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, seed=0, name="a", threads=1, checkpoint_seconds=1.0, data__root="x")
    make_run(tmp_path / "1", 0.6, seed=1, name="b", threads=2, checkpoint_seconds=2.0, data__root="y")
    make_run(tmp_path / "2", 0.7, seed=0, order_seed=4)
    make_run(tmp_path / "3", 0.4, seed=0, model__hidden=[100], model__dropout=[0.5])
    make_run(tmp_path / "4", 0.3, seed=0, optimizer={"kind": "adam", "beta1": 0.9})
    table = table_of(tmp_path)
    parts = ("kind", "eta_min", "eta_max", "n_s", "eta_max_factor", "cycles")
    schedule = [f"optimizer.schedule.{part}" for part in parts]
    varying = ["model.hidden", "model.dropout", "optimizer.kind", "optimizer.momentum", *schedule, "optimizer.beta1"]
    assert table.varying_settings() == ["seed", "order_seed", *varying]
    summary = summarise(table, (), "val_accuracy")
    assert summary.keys == ["data", "data_fingerprint", "stage", *varying]
    expected = [("[50, 50]", 0.0, "sgd", 3), ("[100]", "[0.5]", "sgd", 1), ("[50, 50]", 0.0, "adam", 1)]
    assert rows(summary, "model.hidden", "model.dropout", "optimizer.kind", "val_accuracy_n") == expected


def test_the_tidy_table_has_identity_varying_settings_and_all_metrics(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, model="3layer", model__init__sigma=0.1)
    make_run(tmp_path / "1", 0.1, model="9layer", status="diverged", message="lost")
    tidy = table_of(tmp_path).tidy()
    assert tidy.columns.tolist()[:8] == [
        "folder", "sweep", "stage", "trial", "status", "model", "model.hidden", "model.init.sigma",
    ]  # fmt: skip
    assert {"data", "data_fingerprint", "message", "layers", "val_accuracy", "val_loss"} <= set(tidy.columns)
    assert tidy[["folder", "status", "model", "model.init.sigma", "message"]].to_numpy().tolist() == [
        ["0", "finished", "3layer", 0.1, None],
        ["1", "diverged", "9layer", None, "lost"],
    ]
    assert "model" not in table_of(tmp_path / "0").tidy()


def test_different_data_sets_are_never_averaged_together(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, seed=0)
    make_run(tmp_path / "1", 0.7, seed=1, data="textures", fingerprint="ff")
    make_run(tmp_path / "2", 0.9, seed=2, fingerprint="ff")  # same name, other pictures
    make_run(tmp_path / "3", 0.6, seed=3)
    for by in ((), ("lam",), ("seed",), ("status",)):
        summary = summary_of(tmp_path, *by)
        for _, group in summary.groups.groupby(["data", "data_fingerprint"]):
            assert len(group) == (2 if by == ("seed",) and group["data_fingerprint"].iloc[0] != "ff" else 1)
    expected = [("CIFAR-10", "ff", 0.9, 1), ("textures", "ff", 0.7, 1), ("CIFAR-10", "00112233aabbccdd", 0.55, 2)]
    keys = ("data", "data_fingerprint", "val_accuracy_mean", "val_accuracy_n")
    assert rows(summary_of(tmp_path, "lam"), *keys) == expected


def test_differently_augmented_test_pictures_are_other_data(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, test=0.5, seed=0)
    make_run(tmp_path / "1", 0.5, test=0.4, seed=1, data__test_augmentation__share=0.5)
    summary = summary_of(tmp_path, "lam")
    assert rows(summary, "data.test_augmentation.share", "test_accuracy_mean") == [(0.0, 0.5), (0.5, 0.4)]


def test_diverged_runs_count_with_their_chance_level(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, seed=0)
    make_run(tmp_path / "1", 0.1, seed=1, status="diverged")
    summary = summary_of(tmp_path)
    assert rows(summary, "val_accuracy_mean", "val_accuracy_n", "n_diverged") == [(0.3, 2, 1)]


def test_the_loss_of_a_diverged_run_is_infinite(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, seed=0)
    make_run(tmp_path / "1", 0.1, seed=1, status="diverged")
    make_run(tmp_path / "2", 0.2, seed=0, lam=0.1)
    summary = summary_of(tmp_path, metric="val_loss")
    assert summary.scores == ["val_loss", "val_accuracy"]
    columns = ("lam", "val_loss_n", "val_loss_mean", "val_loss_sd", "val_loss_low95")
    assert rows(summary, *columns) == [(0.1, 1, 1.9, None, None), (0.005, 2, math.inf, None, None)]


def test_runs_without_a_result_are_counted_and_not_averaged(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, seed=0)
    for i, status in enumerate(("failed", "failed", "running", "interrupted", "pruned"), start=1):
        make_run(tmp_path / str(i), status=status, seed=i, metrics={"val_accuracy": 0.9})
    counts = ("runs", "val_accuracy_n", "val_accuracy_mean", "n_diverged", "n_failed", "n_running", "n_interrupted")
    assert rows(summary_of(tmp_path), *counts, "n_pruned") == [(6, 1, 0.5, 0, 2, 1, 1, 1)]


def test_a_group_without_any_result_stays_in_the_table(tmp_path: Path) -> None:
    make_run(tmp_path / "0", status="running", lam=0.1)
    make_run(tmp_path / "1", 0.5)
    summary = summary_of(tmp_path)
    assert rows(summary, "lam", "val_accuracy_n", "val_accuracy_mean") == [(0.005, 1, 0.5), (0.1, 0, None)]


def test_a_run_that_failed_at_once_counts_where_it_alone_can_belong(tmp_path: Path) -> None:
    make_failed_start(tmp_path / "0", "no data", ["lam=0.1", "seed=7"])  # comes before its group
    make_run(tmp_path / "1", 0.5, lam=0.2)
    make_run(tmp_path / "2", 0.6, lam=0.1)
    make_failed_start(tmp_path / "3", "no data", ["seed=7"])  # lam is not known
    make_failed_start(tmp_path / "4", "no data", ["lam=3"])  # no such group
    summary = summary_of(tmp_path)
    expected = [("CIFAR-10", 0.1, 2, 1, 0.6), ("CIFAR-10", 0.2, 1, 0, 0.5)]
    assert rows(summary, "data", "lam", "runs", "n_failed", "val_accuracy_mean") == expected
    assert summary.group.tolist() == [0, 1, 0, -1, -1]


def test_a_run_that_failed_at_once_counts_nowhere_if_it_can_belong_to_two_groups(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, lam=0.1, batch_size=50)
    make_run(tmp_path / "1", 0.4, lam=0.1, batch_size=100)
    make_run(tmp_path / "2", 0.3, lam=0.2, batch_size=100)
    make_failed_start(tmp_path / "3", "no data", ["lam=0.1"])
    make_failed_start(tmp_path / "4", "no data", ["batch_size=100", "lam=0.1"])
    make_failed_start(tmp_path / "5", "no data", ["lam=0.2"])
    assert summary_of(tmp_path).group.tolist() == [0, 1, 2, -1, 1, 2]


def test_runs_that_all_failed_at_once_make_no_group(tmp_path: Path) -> None:
    make_failed_start(tmp_path / "0", "no data", ["lam=0.1"])
    make_failed_start(tmp_path / "1", "no data", ["lam=0.2", "model=3layer", "data=cifar10"])
    summary = summary_of(tmp_path)
    assert len(summary.groups) == 0
    tidy = table_of(tmp_path).tidy()
    assert tidy["lam"].tolist() == [0.1, 0.2]
    assert tidy["data"].tolist() == [None, None]


def test_a_repeated_run_is_averaged_once(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, seed=0)
    make_run(tmp_path / "1", 0.6, seed=1)
    make_run(tmp_path / "2", 0.5, seed=0, threads=2)
    make_run(tmp_path / "3", 0.7, seed=0, status="diverged", fingerprint="ff")
    summary = summary_of(tmp_path)
    assert rows(summary, "runs", "val_accuracy_n", "val_accuracy_mean") == [(1, 1, 0.7), (3, 2, 0.55)]
    assert summary.repeated == 1


def test_stages_are_kept_apart_unless_by_says_otherwise(tmp_path: Path) -> None:
    make_sweep(tmp_path, [{"name": "coarse"}, {"name": "fine"}])
    make_run(tmp_path / "coarse" / "0", 0.5, seed=0)
    make_run(tmp_path / "fine" / "0", 0.5, seed=0)
    make_run(tmp_path / "fine" / "1", 0.6, seed=1)
    columns = ("val_accuracy_n", "val_accuracy_mean")
    assert rows(summary_of(tmp_path), "stage", *columns) == [("fine", 2, 0.55), ("coarse", 1, 0.5)]
    summary = summary_of(tmp_path, "lam")
    assert rows(summary, *columns) == [(2, 0.55)]
    assert summary.repeated == 1  # the same seed in both stages is one result


def test_by_names_the_keys_and_the_rest_is_mixed(tmp_path: Path) -> None:
    for i, (model, lam, score) in enumerate([("3layer", 0.1, 0.5), ("3layer", 0.2, 0.6), ("9layer", 0.1, 0.4)]):
        make_run(tmp_path / str(i), score, model=model, lam=lam)
    summary = summary_of(tmp_path, "model")
    assert summary.keys == ["data", "data_fingerprint", "model"]
    assert rows(summary, "model", "val_accuracy_mean", "val_accuracy_n") == [("3layer", 0.55, 2), ("9layer", 0.4, 1)]
    assert summary.mixed == ["lam"]
    summary = summary_of(tmp_path, "hidden", "model")
    assert rows(summary, "model.hidden", "model")[0] == ("[50, 50]", "3layer")
    with pytest.raises(UserError, match="lamb: there is no such column; did you mean lam"):
        summary_of(tmp_path, "lamb")


def test_better_means_larger_but_for_losses_and_times(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5, lam=0.1, metrics={"seconds": 3.0})
    make_run(tmp_path / "1", 0.6, lam=0.2, metrics={"seconds": 4.0})
    for metric, best in (("val_accuracy", 0.2), ("val_loss", 0.2), ("seconds", 0.1)):
        assert summary_of(tmp_path, metric=metric).groups.loc[0, "lam"] == best


def test_determined(tmp_path: Path) -> None:
    make_run(tmp_path / "0", model="3layer", lam=0.1)
    make_run(tmp_path / "1", model="3layer", lam=0.2)
    make_run(tmp_path / "2", model="9layer", lam=0.2)
    frame = table_of(tmp_path).frame
    assert determined(frame, "model.hidden", ["model"])
    assert not determined(frame, "lam", ["model"])
    assert determined(frame, "lam", ["model", "folder"])
