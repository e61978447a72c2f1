"""What is said of plays, from a plays.csv that was written by hand, and the picture of costs."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from figures import figure_of, legend_of, points_of
from matplotlib.text import Text

import kls.study.findings.plays
from kls.config.study_file import Study
from kls.plots.costs import Way, plot_costs
from kls.records import names
from kls.records.checked import write_csv
from kls.report.document import Picture, TableBlock
from kls.study.page import find_all, times_block
from kls.study.results import Results, StepResult

REGRETS = {"good": (0.0, 0.1, 0.2, 0.1), "near": (0.1, 0.2, 0.2, 0.1), "bad": (1.0, 1.2, 1.1, 0.9)}


def study(*published: str) -> Study:
    ways = dict.fromkeys([*REGRETS, "ours"], "course_e")
    steps = [
        {"name": "table", "what": "w", "folder": "table", "sweep": "seeds"},
        {"name": "plays", "what": "w", "folder": "plays", "plays": {
            "n": 4, "table": "table", "setting": "lam", "ways": ways}},
    ]  # fmt: skip
    findings = [{"kind": "plays", "step": "plays", "published": list(published)}]
    return Study.model_validate({"key": "k", "title": "t", "asked": "a", "steps": steps, "findings": findings})


def write_plays(out: Path) -> None:
    """Four plays of each way; the interval of "ours" holds 0.005 in three of them."""
    rows = []
    for way, regrets in {**REGRETS, "ours": (0.0, 0.0, 0.1, 0.1)}.items():
        for play, regret in enumerate(regrets):
            ends = (0.001, 0.01, 0.005) if play != 2 else (0.01, 0.1, 0.005)
            ends = ends if way == "ours" else (np.nan,) * 3
            epochs = {"ours": 130, "bad": 1000}.get(way, 600)
            cells = (way, "net", 10, play, epochs, 10.0 ** -(2 + play % 2), regret, regret / 2, *ends)
            rows.append(dict(zip(names.PLAY_COLUMNS, cells, strict=True)))
    folder = out / "steps" / "plays"
    folder.mkdir(parents=True)
    write_csv(folder / names.PLAYS, rows)


def results(out: Path, of: Study) -> dict[str, StepResult]:
    return {step.name: Results(out).step(step) for step in of.steps}


def test_sentences_table_and_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kls.study.findings.plays, "FORMATS", ("png",))
    write_plays(tmp_path)
    steps = results(tmp_path, study("bad", "good", "near"))
    assert (steps["plays"].is_there, steps["plays"].missing, steps["table"].is_there) == (True, "", False)
    (found,) = find_all(study("bad", "good", "near"), steps, tmp_path)
    # 95th percentiles: 0.2 - 0.15 * 0.1 of good, 0.2 of near, 1.2 - 0.15 * 0.1 of bad, 0.1 of ours
    assert found.sentence == (
        "net: of the published searches good had the least regret, 0.10 points on average (95th percentile 0.18), for "
        "600 epochs; near cannot be told from it. The others: near 0.15 (0.20) for 600 epochs; bad 1.05 (1.18) for "
        "1,000 epochs. Beside them: ours 0.05 (0.10) for 130 epochs; the interval of ours held the best value in 75.0 "
        "% (95 % interval 30.1 to 95.4 %). Regret is told as mean (95th percentile) of 4 plays of each way on one "
        "table of 10 seeds; how well such a table knows a network is not in it."
    )
    _, block, _, picture = found.blocks
    assert isinstance(block, TableBlock)
    table = {column.head: column.cells for column in block.table.columns}
    assert table["way"] == ["good", "near", "bad", "ours"]
    assert table["epochs"] == ["600", "600", "1,000", "130"]
    # sd of 0, 0.1, 0.2, 0.1 is 0.0816; t(3) / 2 = 1.591
    assert table["mean regret"][0] == "0.100 (0.000 to 0.230)"
    assert table["mean after 2 cycles"][0] == "0.050"
    assert table["spread"] == ["0.58"] * 4  # of -2, -3, -2, -3
    assert table["holds"] == ["-", "-", "-", "75.0 % (95 % interval 30.1 to 95.4 %)"]
    assert isinstance(picture, Picture)
    assert (tmp_path / picture.file_name).is_file()
    (_, times) = times_block(steps.values()).table.columns[1].cells
    assert times == "16 plays"


def test_plays_that_are_damaged_are_told(tmp_path: Path) -> None:
    write_plays(tmp_path)
    path = tmp_path / "steps" / "plays" / names.PLAYS
    path.write_text(path.read_text().replace("good", "best"))
    result = results(tmp_path, study("good"))["plays"]
    assert (result.plays, result.is_there) == (None, False)
    assert result.warnings == [f"skipped: {path}: does not fit its checksum; it was damaged or changed"]
    path.write_text(",".join(names.PLAY_COLUMNS) + "\ngood,net,10,0,many,0.1,0,0,nan,nan,nan\n")
    assert results(tmp_path, study("good"))["plays"].warnings == [f"skipped: {path.parent}: cannot be read"]
    assert find_all(study("good"), results(tmp_path, study("good")), tmp_path) == []


def test_the_picture_of_costs() -> None:
    """Names overlap neither each other nor a mark; marks of one cost stand side by side."""
    cost = {"lambda_search": 130.0, "tpe": 130.0, "gp": 130.0, "halving": 120.0, "repeated_grid": 120.0, "x2019": 600.0}
    ways = [Way(name, c, 0.05 * (i + 1), 0.2 * (i + 1), i == 5) for i, (name, c) in enumerate(cost.items())]
    ways[3] = ways[3]._replace(high=0.02)  # below the mean, which few plays make
    figure = figure_of(plot_costs, [("3layer_bn", ways), ("9layer_bn", [ways[0]._replace(mean=0.0, high=0.0)])])
    assert legend_of(figure) == ["other: mean", "published: mean", "up to the 95th percentile"]
    first, second = figure.axes
    boxes = {text.get_text(): Text.get_window_extent(text) for text in first.texts}  # without its line
    assert boxes.keys() == cost.keys()
    for a, b in combinations(boxes.values(), 2):
        assert not a.overlaps(b)
    marks = points_of(first, "D") + points_of(first, "o")
    marks = [mark for mark in marks if np.isfinite(mark).all()]
    assert sorted(y for _, y in marks) == pytest.approx([0.05 * (i + 1) for i in range(6)])
    assert all(not box.contains(*first.transData.transform(mark)) for box in boxes.values() for mark in marks)
    lines = [first.transData.transform(line.get_xydata()) for line in first.get_lines() if len(line.get_xydata()) == 2]
    assert len(lines) == 6
    for (x, low), (_, high) in lines:
        heights = np.linspace(low, high, 50)
        assert not any(box.contains(x, height) for box in boxes.values() for height in heights)
    x = sorted(x for x, _ in marks)
    assert all(a < b for a, b in pairwise(x))
    assert x[-1] == pytest.approx(600.0)
    assert [y for _, y in points_of(second, "D") if np.isfinite(y)] == [0.01]  # less is drawn as this
