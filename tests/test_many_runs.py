"""Thousands of runs: the tables have the values of small folders, can be read, and take little memory a run."""

from __future__ import annotations

import json
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_runs import make_run, make_sweep

from kls.analysis.optima import optima
from kls.analysis.runs import read_runs
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.report.page import Options
from kls.report.summary import aggregate
from kls.sweep.sweep_progress import look

LARGEST_MEMORY = 12_288  # bytes a run, of all that aggregation holds at once
BOUNDS = {"low": 1e-4, "high": 1.0, "scale": "log"}


def make_runs(sweep: Path, lams: dict[str, np.ndarray], seeds: dict[str, int]) -> pd.DataFrame:
    """A sweep whose stages try these lams with so many seeds each; their scores as lam, stage, seed, score."""
    template = json.loads((make_run(sweep.parent / "template", history=0) / names.METRICS).read_text())
    (sweep.parent / "template" / names.METRICS).unlink()
    (sweep.parent / "template" / names.CONFIG).unlink()
    rng, rows = np.random.default_rng(0), []
    make_sweep(sweep, [{"name": stage, "status": "finished", "params": {"lam": BOUNDS}} for stage in lams])
    for stage, values in lams.items():
        for i, lam in enumerate(values.tolist()):
            for seed in range(seeds[stage]):
                score = float(0.54 - 0.02 * (np.log10(lam) + 2.0) ** 2 + 0.01 * seed + 0.003 * rng.standard_normal())
                rows.append((stage, lam, seed, score))
                settings = template["settings"] | {"lam": lam, "seed": seed, "order_seed": seed}
                folder = sweep / stage / str(i * seeds[stage] + seed)
                folder.mkdir(parents=True)
                content = template | {"settings": settings, "val_accuracy": score}
                (folder / names.METRICS).write_text(json.dumps(content))
    return pd.DataFrame(rows, columns=["stage", "lam", "seed", "score"])


@pytest.mark.slow
def test_3000_runs(tmp_path: Path) -> None:
    """Single runs at 1,000 values and two seeds at 1,000 others, where a square of their number would be seen."""
    lams = {"again": np.geomspace(1.1e-4, 0.9, 1000), "random": np.geomspace(1e-4, 1.0, 1000)}
    made = make_runs(tmp_path / "s", lams, {"random": 1, "again": 2})
    tracemalloc.start()
    try:
        text = aggregate([tmp_path / "s"], options=Options(curves=0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < LARGEST_MEMORY * len(made)
    assert len(text.splitlines()) < 80
    assert "3,000 runs: 3,000 finished." in text
    assert "Best 5 of 2,000 groups, by validation accuracy:" in text
    assert "The best 100 of 2,000 groups; summary.csv of kls aggregate has all" in text
    assert "... and 70 more" in text

    aggregate([tmp_path / "s"], tmp_path / "out", Options(curves=0))
    runs, groups = (pd.read_csv(tmp_path / "out" / name) for name in (names.RUNS_TABLE, names.GROUPS_TABLE))
    assert runs[["stage", "lam", "seed", "val_accuracy"]].to_numpy().tolist() == made.to_numpy().tolist()
    expected = made.groupby(["stage", "lam"])["score"].agg(["count", "mean", "std"])
    found = groups.set_index(["stage", "lam"])[[f"val_accuracy_{part}" for part in ("n", "mean", "sd")]]
    np.testing.assert_allclose(found.sort_index().to_numpy(), expected.sort_index().to_numpy(), rtol=1e-12)
    (optimum,) = optima(read_runs([tmp_path / "s"]), names.VAL_ACCURACY)
    assert np.log10(optimum.curve.place.centre) == pytest.approx(-2.0, abs=0.05)
    assert optimum.curve.mean.max() == pytest.approx(0.545, abs=0.002)  # of the mean seed


@pytest.mark.slow
def test_45_sweeps(tmp_path: Path) -> None:
    """The first 40 are told of whole, by a table of stages each, the others in a line; the files have all."""
    for i in range(45):
        make_sweep(tmp_path / f"s{i:02}", [{"name": "only", "status": "finished"}])
        make_run(tmp_path / f"s{i:02}" / "only" / "0", 0.5 + i / 1000)
    text = aggregate([tmp_path], options=Options(curves=0))
    assert "Shown are 40 of 45 parts by data, sweep and epochs, and the best of each other below." in " ".join(
        text.split()
    )
    assert re.findall(r"(?m)^Sweep (s\d\d) in", text) == [f"s{i:02}" for i in range(40)]
    assert "The best of 5 other parts" in text
    told = re.findall(r"sweep (s\d\d), 20 epochs: best validation accuracy ([\d.]+) %", text)
    assert told == [(f"s{i}", f"{50 + i / 10:.2f}") for i in range(40, 45)]
    aggregate([tmp_path], tmp_path / "out", Options(curves=0))
    for name in (names.RUNS_TABLE, names.GROUPS_TABLE):
        assert pd.read_csv(tmp_path / "out" / name)["sweep"].tolist() == [f"s{i:02}" for i in range(45)]


def test_a_run_that_has_ended_is_not_read_again(tmp_path: Path) -> None:
    """A failed one is, for a sweep that is gone on with tries it again."""
    folders = [RunFolder(tmp_path / str(i)) for i in range(4)]
    for folder in folders[:3]:
        folder.path.mkdir()
    folders[0].write_metrics({names.STATUS: names.FINISHED, names.BEST_VAL_ACCURACY: 0.5})
    folders[1].write_metrics({names.STATUS: names.FAILED})
    folders[2].write_metrics({names.STATUS: names.RUNNING, "steps": 1, "planned_steps": 4})
    paths, known = [folder.path for folder in folders], {}
    assert look(paths, known) == (2.25 / 4, "2/4 ended, 1 running, 1 failed, best validation 50.00%")
    assert [*known] == paths[:1]
    (paths[0] / names.METRICS).unlink()
    folders[1].write_metrics({names.STATUS: names.RUNNING, "steps": 2, "planned_steps": 4})
    folders[2].write_metrics({names.STATUS: names.PRUNED, names.BEST_VAL_ACCURACY: 0.6})
    assert look(paths, known) == (2.5 / 4, "2/4 ended, 1 running, best validation 60.00%")
