"""A run of schema 1, interrupted at step 22 of 40, is read for ever: resumed, evaluated, aggregated and reported.

A setting that comes later must have a default under which it computes what it did.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from entry_points import aggregate_in, config_of, evaluate_in, history_of, metrics_of, report_in, train_in

from kls.records import names

RUN = Path(__file__).parent / "run_of_schema_1"


@pytest.fixture
def older(cifar_root: Path, tmp_path: Path) -> Path:
    """A copy of the run; its data are those of the tests."""
    return Path(shutil.copytree(RUN, tmp_path / "run"))


def test_it_goes_on(older: Path, cifar_root: Path) -> None:
    outcome = train_in(older.parent, f"resume={older}", f"data.root={cifar_root}")
    assert (outcome.status, outcome.err) == (0, "")
    metrics, rows = metrics_of(older), history_of(older)
    assert (metrics["schema"], metrics["status"], metrics["steps"]) == (names.SCHEMA, "finished", 40)
    assert [row["step"] for row in rows] == [0, 7, 14, 21, 28, 35, 40]
    assert rows[:4] == history_of(RUN)
    assert metrics["val_accuracy"] == rows[-1]["val_accuracy"]


def test_it_is_evaluated(older: Path, cifar_root: Path) -> None:
    outcome = evaluate_in(older.parent, "run", "--checkpoint", "best", "--data-root", str(cifar_root))
    assert (outcome.status, outcome.err) == (0, "")
    (row,) = [row for row in history_of(RUN) if row["step"] == 21]
    shown = next(line.split() for line in outcome.out.splitlines() if line.startswith("val "))
    assert float(shown[2].rstrip("%")) == pytest.approx(100 * row["val_accuracy"], abs=0.6)  # one picture of 200


def test_it_stands_in_tables_and_pages(older: Path, cifar_root: Path) -> None:
    train_in(older.parent, f"resume={older}", f"data.root={cifar_root}")
    outcome = aggregate_in(older.parent, "run", "--out", "out")
    assert (outcome.status, outcome.err) == (0, "")
    header, row = (older.parent / "out" / names.RUNS_TABLE).read_text(encoding="utf-8").splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=False))
    assert cells["status"] == "finished"
    outcome = report_in(older.parent, "run", "--out", "page")
    assert (outcome.status, outcome.err) == (0, "")
    page = (older.parent / "page" / "report.md").read_text(encoding="utf-8")
    assert re.search(rf"\| lam +\| +{config_of(older)['lam']} +\|", page)
