"""The benchmark: how its numbers are computed, that all contenders do the same work, and what it leaves."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from entry_points import call, mistake

from kls import bench
from kls.benchmark.cases import FLOOR, JAX, OURS, SKLEARN, TORCH, Contender, Work, contenders, read_work
from kls.benchmark.floor import FloorLoop, products
from kls.benchmark.growth import overhead_row, training_seconds
from kls.benchmark.interleave import round_robin
from kls.benchmark.own import OwnLoop
from kls.benchmark.report import CSV, JSON, MARKDOWN, PICTURE
from kls.benchmark.sweep import overrides, plan, sweep_command, torch_commands
from kls.benchmark.table import CSV_COLUMNS, Measurement, csv_rows, drawn, table_rows
from kls.benchmark.task import STEPS_PER_EPOCH, Task, made_up
from kls.config.project import project_root
from kls.core.architecture import Architecture
from kls.records.names import METRICS

STEPS = 40
MEASURED = [
    Measurement(OURS, "net", 3072, 1, 90, (0.07, 0.06, 0.08)),
    Measurement(FLOOR, "net", 3072, 1, 90, (0.05, 0.04, 0.04)),
    Measurement(TORCH, "net", 3072, 1, 90, (0.24, 0.2, 0.12)),
    Measurement(OURS, "net", 3072, 10, 90, (0.4, 0.5, 0.45)),
    Measurement(JAX, "net", 3072, 10, 45, (0.5, 0.6, 0.7)),
]


def task(bn: bool = True, members: int = 1) -> Task:
    return Task(Work("net", (20, 10), bn, "he", 60, members), *made_up(1000, 60), STEPS)


def test_an_epoch_is_the_fastest_round_scaled_to_all_steps() -> None:
    assert MEASURED[0].epoch_seconds == pytest.approx(0.06 * 450 / 90)
    assert MEASURED[4].epoch_seconds == pytest.approx(0.5 * 450 / 45)
    assert MEASURED[4].member_seconds == pytest.approx(0.5)


def test_the_table_has_a_row_a_population_with_seconds_a_member_and_ratios() -> None:
    alone, ten = table_rows(MEASURED)
    assert (alone["model"], alone["inputs"], alone["members"], ten["members"]) == ("net", 3072, 1, 10)
    assert [alone[name] for name in (OURS, FLOOR, TORCH)] == pytest.approx([0.3, 0.2, 0.6])
    assert [alone["ours/floor"], alone["ours/torch"]] == pytest.approx([1.5, 0.5])
    assert (alone[JAX], alone["ours/jax"]) == (None, None)
    assert [ten[OURS], ten[JAX], ten["ours/jax"]] == pytest.approx([0.2, 0.5, 0.4])
    assert (ten[FLOOR], ten["ours/torch"]) == (None, None)


def test_the_drawn_table_leaves_out_who_was_not_measured() -> None:
    head, _, alone, ten = drawn(table_rows(MEASURED), "simple").splitlines()
    assert " ".join(head.split()) == "model inputs members ours floor torch jax ours/floor ours/torch ours/jax"
    assert " ".join(alone.split()) == "net 3072 1 0.3 0.2 0.6 1.50 0.50"
    assert " ".join(ten.split()) == "net 3072 10 0.2 0.5 0.40"


def test_csv_rows_have_a_measurement_each() -> None:
    rows = csv_rows(MEASURED)
    assert [tuple(row) for row in rows] == [CSV_COLUMNS] * 5
    assert list(rows[4].values()) == [JAX, "net", 3072, 10, 45, 3, pytest.approx(5.0), pytest.approx(0.5)]


def test_every_contender_is_measured_once_before_any_is_measured_again() -> None:
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return float(len(order))

    assert round_robin(["a", "b", "c"], 2, measure) == [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
    assert order == ["a", "b", "c", "a", "b", "c"]


def test_who_is_measured_on_which_network() -> None:
    def listed(model: str) -> list[tuple[str, int]]:
        found = contenders(read_work(project_root() / "conf", model), (4, 10), (TORCH, JAX, SKLEARN))
        return [(c.library, c.work.members) for c in found]

    alone = [(OURS, 1), (FLOOR, 1), (TORCH, 1), (JAX, 1)]
    assert listed("3layer") == [*alone, (SKLEARN, 1)]
    assert listed("7layer_wide_bn") == alone
    assert listed("3layer_bn") == [*alone, (OURS, 4), (FLOOR, 4), (OURS, 10), (FLOOR, 10), (JAX, 10)]
    work = read_work(project_root() / "conf", "3layer")
    assert work == Work("3layer", (50, 50), False, "xavier", 3072)
    assert [Contender(name, work).process for name in (OURS, FLOOR, JAX)] == [OURS, OURS, JAX]


def test_the_floor_has_the_products_of_a_training_step() -> None:
    shapes = [(p.kind, p.rows, p.inner, p.columns) for p in products((3072, 50, 10), 100)]
    assert shapes == [
        ("forward", 100, 3072, 50),
        ("forward", 100, 50, 10),
        ("weight gradient", 50, 100, 10),
        ("input gradient", 100, 10, 50),
        ("weight gradient", 3072, 100, 50),
    ]
    weights, first = 3072 * 50 + 50 * 10, 3072 * 50
    assert sum(p.flops for p in products((3072, 50, 10), 100)) == 2 * 100 * (3 * weights - first)


def test_the_floor_calls_blas_for_products_of_these_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    matmul, dot = np.matmul, np.dot

    def noting(product: Any) -> Any:
        def noted(a: Any, b: Any, out: Any) -> Any:
            made.append((a.shape, b.shape))
            return product(a, b, out=out)

        return noted

    def adding(x: Any, delta: Any, total: Any) -> None:
        made.append((x.T.shape, delta.shape))

    monkeypatch.setattr("kls.benchmark.floor.add_product", adding)
    loop = FloorLoop(task(members=3))
    monkeypatch.setattr(np, "matmul", noting(matmul))
    monkeypatch.setattr(np, "dot", noting(dot))
    loop.advance(2)
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


def assert_same_training(loop: Any, reference: OwnLoop, given: Task) -> None:
    """From the same first weights both have come to the same weights, and these are elsewhere."""
    for k in range(given.work.members):
        first, got = given.weights(k), loop.weights(*([k] if given.work.members > 1 else []))
        for start, ours, theirs in zip(first, reference.weights(k), got, strict=True):
            assert np.linalg.norm(ours - start) > 0.03 * np.linalg.norm(start)
            assert np.linalg.norm(ours - theirs) < 1e-4 * np.linalg.norm(ours)


@pytest.mark.parametrize("bn", [False, True])
def test_torch_does_the_same_training(bn: bool) -> None:
    torch_loop = pytest.importorskip("kls.benchmark.torch_loop", exc_type=ImportError)
    loop, ours = torch_loop.TorchLoop(task(bn)), OwnLoop(task(bn))
    for steps in (15, 25):
        loop.advance(steps)
        ours.advance(steps)
    assert_same_training(loop, ours, task(bn))


@pytest.mark.parametrize(("bn", "members"), [(False, 1), (True, 1), (True, 3)])
def test_jax_does_the_same_training(bn: bool, members: int) -> None:
    jax_loop = pytest.importorskip("kls.benchmark.jax_loop", exc_type=ImportError)
    loop, ours = jax_loop.JaxLoop(task(bn, members)), OwnLoop(task(bn, members))
    loop.advance(STEPS)
    ours.advance(STEPS)
    assert_same_training(loop, ours, task(bn, members))


def test_sklearn_makes_as_many_steps_in_float32() -> None:
    sklearn_loop = pytest.importorskip("kls.benchmark.sklearn_loop", exc_type=ImportError)
    loop = sklearn_loop.SklearnLoop(task(bn=False))
    loop.advance(7)
    assert loop.classifier.t_ == 700
    assert [(w.shape, w.dtype) for w in loop.weights()] == [(s, np.float32) for s in ((60, 20), (20, 10), (10, 10))]


def test_the_task_is_a_whole_cycle_over_permuted_pictures() -> None:
    given = task()
    assert isinstance(given.architecture, Architecture)
    assert given.rates.argmax() == STEPS // 2
    assert np.array_equal(np.sort(given.rows(10, 10).ravel()), np.arange(1000))
    assert np.array_equal(given.rows(5, 10)[5:], given.rows(10, 5))
    assert STEPS_PER_EPOCH == 450


def test_sweeps_by_all_launchers_have_the_same_settings(tmp_path: Path) -> None:
    p = plan(tmp_path, quick=False)
    assert (p.source, len(p.lams), p.lams[0], p.lams[-1]) == ("synthetic", 20, 1e-5, 1e-1)
    assert p.epochs * STEPS_PER_EPOCH == 2 * p.n_s
    command = sweep_command(p, "joblib", 0.99, tmp_path / "x")
    assert set(overrides(p, 0.99)) < set(command)
    assert {"hydra/launcher=joblib", "data.projection=0.99", f"hydra.sweep.dir={tmp_path / 'x'}"} < set(command)
    assert "data.projection=null" in overrides(p, None)
    wishes = [json.loads(command[-1]) for command in torch_commands(p, 0.99, tmp_path, (50, 50), 2)]
    assert len(wishes) == 2
    assert sorted(lam for wish in wishes for lam in wish["lams"]) == sorted(p.lams)
    (whole,) = torch_commands(p, 0.99, tmp_path, (50, 50), 1)
    assert json.loads(whole[-1])["lams"] == list(p.lams)
    assert {(wish["n_s"], wish["projection"]) for wish in wishes} == {(2250, 0.99)}


def test_overhead_is_wall_time_less_each_populations_training_time(tmp_path: Path) -> None:
    for number, metrics in enumerate(({"training_seconds": 3.0, "population": 2},) * 2 + (
        {"training_seconds": 1.0, "population": 1},)):  # fmt: skip
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / METRICS).write_text(json.dumps(metrics), encoding="utf-8")
    assert training_seconds(tmp_path) == pytest.approx(4.0)
    assert overhead_row(3, 10.0, 4.0)["overhead ms a trial"] == pytest.approx(2000.0)


def test_a_quick_benchmark_writes_its_files_whole(tmp_path: Path) -> None:
    outcome = call(lambda: bench.run(["--quick", "--only", "3layer_bn", "--peers", "none"]), (), tmp_path)
    assert outcome.status == 0
    (folder,) = (tmp_path / "outputs" / "bench").iterdir()
    assert {path.name for path in folder.iterdir()} == {JSON, CSV, MARKDOWN, PICTURE}
    report = json.loads((folder / JSON).read_text(encoding="utf-8"))
    works = [(row["inputs"], row["members"]) for row in report["table"]]
    assert works == [(n, k) for n in (3072, 537) for k in (1, 4, 10)]
    assert report["table"] == table_rows([Measurement(**m) for m in report["measurements"]])
    assert all(math.isclose(row["ours/floor"], row[OURS] / row[FLOOR]) for row in report["table"])
    assert (report["peers"], {len(m["seconds"]) for m in report["measurements"]}) == ({}, {2})
    with (folder / CSV).open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(report["measurements"]) == 12
    assert (folder / PICTURE).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    table = drawn(report["table"], "pipe")
    assert table in (folder / MARKDOWN).read_text(encoding="utf-8")
    assert drawn(report["table"], "simple") in outcome.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--only", "4layer"], "--only 4layer: there is no such model; there are 3layer, 3layer_bn, 7layer_bn, "),
        (["--peers", "torch,keras"], "--peers keras: there is no such library; there are torch, jax, sklearn, or none"),
        (["--rounds", "0"], "--rounds 0: must be 1 to 1,000"),
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    outcome = call(bench.main, tuple(arguments), tmp_path)
    assert mistake(outcome).startswith(told)
    assert list(tmp_path.iterdir()) == []
