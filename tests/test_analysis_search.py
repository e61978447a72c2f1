"""What was searched, and its trials."""

from pathlib import Path
from typing import Any

from made_up_runs import make_run, make_sweep

from kls.analysis.runs import read_runs
from kls.analysis.search import searches
from kls.records.sweep_stages import Searched


def stage(name: str, **content: Any) -> dict[str, Any]:
    return {"name": name, "status": "finished", **content}


def interval(low: float, high: float, **content: Any) -> dict[str, Any]:
    return {"low": low, "high": high, "scale": "log", "values": None, "source": "given", **content}


def test_trials_of_each_budget_without_confirmations(tmp_path: Path) -> None:
    params = {"lam": interval(1e-4, 1.0), "model.dropout": interval(0.0, 0.5, scale="linear")}
    stages = [stage("coarse", params=params), stage("fine", params={"lam": interval(1e-3, 1e-2)})]
    make_sweep(tmp_path, [*stages, stage("confirm", params={}, confirm=True)])
    for i, lam in enumerate([1e-4, 0.01, 1.0]):
        make_run(tmp_path / "coarse" / str(i), 0.1 * (i + 1), lam=lam, model__dropout=0.1 * i, seed=i)
    make_run(tmp_path / "coarse" / "3", 0.1, lam=0.1, model__dropout=0.4, status="diverged")
    make_run(tmp_path / "coarse" / "4", 0.9, lam=0.2, status="pruned")
    for i, lam in enumerate([1e-3, 2e-3]):
        make_run(tmp_path / "fine" / str(i), 0.5, lam=lam, optimizer__schedule__cycles=4, model__dropout=0.1)
    make_run(tmp_path / "confirm" / "0", 0.5, lam=1e-3, seed=9)
    fine, coarse, dropout = searches(read_runs([tmp_path]))
    assert (fine.key, fine.head, fine.log, fine.section) == ("lam", "lam", True, "CIFAR-10, 40 epochs")
    assert (fine.ranges, fine.trials["x"].tolist()) == ({"fine": (1e-3, 1e-2)}, [1e-3, 2e-3])
    assert (coarse.key, coarse.section, coarse.ranges) == ("lam", "CIFAR-10, 20 epochs", {"coarse": (1e-4, 1.0)})
    assert coarse.trials["x"].tolist() == [1e-4, 0.01, 1.0, 0.1]
    assert coarse.trials["score"].tolist() == [0.1, 0.2, 0.1 * 3, 0.1]
    assert coarse.trials["diverged"].tolist() == [False, False, False, True]
    assert coarse.trials["stage"].tolist() == ["coarse"] * 4
    assert coarse.trials["seeds"].tolist() == [(0, 0, 0), (1, 1, 0), (2, 2, 0), (0, 0, 0)]
    assert (dropout.key, dropout.head, dropout.log) == ("model.dropout", "dropout", False)


def test_runs_without_a_sweep_and_listed_values_need_four_numbers(tmp_path: Path) -> None:
    for i in range(4):
        make_run(tmp_path / str(i), 0.5, lam=10.0**-i, model__dropout=0.1 * (i % 3), seed=i)
    (search,) = searches(read_runs([tmp_path]))
    assert (search.key, search.log, search.ranges) == ("lam", True, {})
    params = {"lam": {"values": [0.1, 0.2, 0.3]}, "seed": {"values": [0, 1, 2, 3, 4]}}
    make_sweep(tmp_path / "s", [stage("grid", params=params)])
    for i in range(5):
        make_run(tmp_path / "s" / "grid" / str(i), 0.5, lam=0.1 * (1 + i % 3), seed=i)
    assert searches(read_runs([tmp_path / "s"])) == []


def test_what_a_stage_searches_in_words() -> None:
    assert Searched(low=1e-5, high=0.1, scale="log", source="given").text == "1e-05 to 0.1 (log)"
    assert Searched(values=[0.1, 0.25, None]).text == "0.1, 0.25, -"
    assert Searched(values=list(range(10))).text == "0, 1, ..., 9"
    assert Searched().text == "- to -"
