"""The benchmark: how its numbers are computed, that all libraries do the same work, and what it leaves."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from entry_points import call, mistake

from kls.bench import __main__ as bench
from kls.bench import loops, sweeps
from kls.bench.loops import Task, batches, pictures
from kls.bench.training import contenders, side_by_side, tasks
from kls.records.names import METRICS

STEPS = 40
MEASURED = pd.DataFrame(
    [("ours", 1, 0.3), ("floor", 1, 0.2), ("torch", 1, 0.6), ("ours", 10, 0.2), ("jax", 10, 0.5)],
    columns=["library", "members", "epoch_seconds"],
).assign(model="net", inputs=3072)


def task(bn: bool = True, members: int = 1) -> Task:
    return Task("net", (20, 10), bn, 60, members, STEPS)


def test_the_table_has_a_row_a_population_with_seconds_and_ratios() -> None:
    table = side_by_side(MEASURED)
    names = ["model", "inputs", "members", "ours", "floor", "torch", "jax", "ours/floor", "ours/torch", "ours/jax"]
    assert list(table.columns) == names
    alone, ten = table.drop(columns="model").to_numpy(float)
    nan = np.nan
    assert alone == pytest.approx([3072, 1, 0.3, 0.2, 0.6, nan, 1.5, 0.5, nan], nan_ok=True)
    assert ten == pytest.approx([3072, 10, 0.2, nan, nan, 0.5, nan, nan, 0.4], nan_ok=True)


def test_who_is_measured_on_which_network() -> None:
    def listed(model: str) -> list[tuple[str, int]]:
        return [(name, own.members) for name, own in contenders(tasks(model)[0], (4, 10), ("torch", "jax"))]

    alone = [("ours", 1), ("floor", 1), ("torch", 1), ("jax", 1)]
    assert listed("3layer") == listed("7layer_wide_bn") == alone
    assert listed("3layer_bn") == [*alone, ("ours", 4), ("floor", 4), ("ours", 10), ("floor", 10), ("jax", 10)]
    assert tasks("3layer") == [Task("3layer", (50, 50), False, n) for n in (3072, 537)]
    assert len(tasks(None)) == 12


def test_the_floor_calls_blas_for_the_products_of_a_training_step(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def noting(product: Any) -> Any:
        def noted(a: Any, b: Any, out: Any) -> Any:
            made.append((a.shape, b.shape))
            return product(a, b, out=out)

        return noted

    monkeypatch.setattr(loops, "add_product", lambda x, delta, total: made.append((x.T.shape, delta.shape)))
    monkeypatch.setattr(np, "matmul", noting(np.matmul))
    monkeypatch.setattr(np, "dot", noting(np.dot))
    train, _ = loops.floor(task(members=3))
    made.clear()
    train(batches(1000, 0, 2), np.zeros(2))
    step = [
        ((100, 60), (60, 60)),
        ((3, 100, 20), (3, 20, 10)),
        ((3, 100, 10), (3, 10, 10)),
        ((3, 10, 100), (3, 100, 10)),
        ((3, 100, 10), (3, 10, 10)),
        ((3, 20, 100), (3, 100, 10)),
        ((3, 100, 10), (3, 10, 20)),
        ((60, 100), (100, 60)),
    ]
    assert made == 2 * step


def trained(library: str, given: Task) -> Any:
    """What a library has made of the task, in two calls."""
    train, model = getattr(loops, library)(given, *pictures(1000, 60))
    for first, steps in ((0, 15), (15, 25)):
        train(batches(1000, first, steps), given.rates[first : first + steps])
    return model


def assert_same_training(given: Task, got: list[list[np.ndarray]]) -> None:
    """The weights of each member are those of this project's training, and elsewhere than the first ones."""
    population = trained("ours", given)
    for k, weights in enumerate(got):
        reference = [w.member(k) for w in population.network.weights]
        for start, ours, theirs in zip(given.weights(k), reference, weights, strict=True):
            assert np.linalg.norm(ours - start) > 0.03 * np.linalg.norm(start)
            assert np.linalg.norm(ours - theirs) < 1e-4 * np.linalg.norm(ours)


@pytest.mark.parametrize("bn", [False, True])
def test_torch_does_the_same_training(bn: bool) -> None:
    pytest.importorskip("torch", exc_type=ImportError)
    network = trained("torch", task(bn))
    assert_same_training(task(bn), [[p.detach().numpy().T for p in network.parameters() if p.dim() == 2]])


@pytest.mark.parametrize(("bn", "members"), [(False, 1), (True, 1), (True, 3)])
@pytest.mark.slow
def test_jax_does_the_same_training(bn: bool, members: int) -> None:
    pytest.importorskip("jax", exc_type=ImportError)
    layers, _ = trained("jax", task(bn, members))
    weights = [np.array(layer["W"]).reshape(members, *layer["W"].shape[-2:]) for layer in layers]
    assert_same_training(task(bn, members), [[w[k] for w in weights] for k in range(members)])


def test_the_task_is_a_whole_cycle_over_permuted_pictures() -> None:
    assert (task().rates.argmax(), task().rates.max(), task().rates[0]) == (STEPS // 2, 0.1, 1e-5)
    assert np.array_equal(np.sort(batches(1000, 10, 10).ravel()), np.arange(1000))
    assert np.array_equal(batches(1000, 5, 10)[5:], batches(1000, 10, 5))


def test_overhead_is_wall_time_less_each_populations_training_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str]) -> float:
        folder = Path(next(part for part in command if part.startswith("hydra.sweep.dir=")).partition("=")[2])
        for number, (seconds, members) in enumerate([(3.0, 2), (3.0, 2), (1.0, 1)]):
            (folder / str(number)).mkdir(parents=True)
            metrics = {"training_seconds": seconds, "population": members}
            (folder / str(number) / METRICS).write_text(json.dumps(metrics), encoding="utf-8")
        return 10.0

    monkeypatch.setattr(sweeps, "wall_seconds", run)
    (row,) = sweeps.growth(tmp_path, (3,)).to_dict("records")
    assert row == {"trials": 3, "seconds": 10.0, "overhead ms a trial": pytest.approx(2000.0)}


def test_sweeps_by_all_launchers_have_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLS_DATA", str(tmp_path / "none"))
    monkeypatch.setattr(sweeps, "cpu_count", lambda: 2)
    calls: list[tuple[list[str], ...]] = []
    monkeypatch.setattr(sweeps, "wall_seconds", lambda *commands: calls.append(commands) or 7.0)
    table = sweeps.by_launcher(tmp_path, quick=False, with_torch=True)
    names = ["population", "joblib", "basic", "torch, 1 at once", "torch, 2 at once"]
    assert table["sweep"].tolist() == 2 * names
    assert set(table["seconds"]) == {7.0}
    for start, projection in ((0, "null"), (6, "0.99")):
        once, *launchers, (alone,), halves = calls[start : start + 6]
        settings = {
            "data=synthetic", f"data.projection={projection}", "optimizer.schedule.n_s=2250",
            "optimizer.schedule.cycles=1", "plots=false",
        }  # fmt: skip
        assert all(settings < set(command) for (command,) in (once, *launchers))
        lams = alone[2:]
        assert (len(lams), lams[0], lams[-1]) == (20, "1e-05", "0.1")
        assert sorted(lams) == sorted(lam for command in halves for lam in command[2:])
        assert [len(command) for command in halves] == [12, 12]
        for (command,), name in zip(launchers, names, strict=False):
            assert {f"hydra/launcher={name}", f"lam={','.join(lams)}", "--multirun"} < set(command)
        assert f"hydra.run.dir={alone[1]}" in once[0]


def test_a_quick_benchmark_writes_its_files_whole(tmp_path: Path) -> None:
    outcome = call(lambda: bench.run(["--quick", "--only", "3layer_bn", "--peers", "none"]), (), tmp_path)
    assert outcome.status == 0
    (folder,) = (tmp_path / "outputs" / "bench").iterdir()
    assert {path.name for path in folder.iterdir()} == {"bench.json", "bench.csv", "bench.md", "bench.png"}
    report = json.loads((folder / "bench.json").read_text(encoding="utf-8"))
    rows = report["Seconds an epoch and network, on one core"]
    assert [(row["inputs"], row["members"]) for row in rows] == [(n, k) for n in (3072, 537) for k in (1, 4, 10)]
    measured = {(m["library"], m["inputs"], m["members"]): m for m in report["measured"]}
    for row in rows:
        ours, floor = (measured[name, row["inputs"], row["members"]] for name in ("ours", "floor"))
        assert row["ours"] == pytest.approx(min(ours["seconds"]) * 450 / 3 / row["members"])
        assert row["ours/floor"] == pytest.approx(ours["epoch_seconds"] / floor["epoch_seconds"])
        assert len(ours["seconds"]) == 2
    with (folder / "bench.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(report["measured"]) == 12
    assert (folder / "bench.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    table = (folder / "bench.md").read_text(encoding="utf-8").removeprefix("# Benchmark\n\n")
    assert table in outcome.out
    assert " 3072 |" in table


def test_a_library_that_is_missing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "find_spec", lambda name: None if name == "jax" else name)
    options = bench.arguments([])
    assert (options.peers, options.left_out) == (["torch"], ["jax"])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--only", "4layer"], "--only 4layer: there is no such model; there are 3layer, 3layer_bn, 7layer_bn, "),
        (["--only", ""], "--only '': there is no such model; there are 3layer, "),
        (["--peers", "torch,keras"], "--peers keras: there is no such library; there are torch, jax, or none"),
        (["--rounds", "0"], "--rounds 0: must be 1 to 1,000"),
    ],
)
def test_mistakes(tmp_path: Path, arguments: list[str], line: str) -> None:
    outcome = call(bench.main, tuple(arguments), tmp_path)
    assert mistake(outcome).startswith(line)
    assert list(tmp_path.iterdir()) == []
