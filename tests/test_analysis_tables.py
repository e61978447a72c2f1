"""How scores are written, which groups are tied with the best, and tables of groups, to the letter."""

import math
from pathlib import Path

import pandas as pd
import pytest
from made_up_runs import make_run
from numpy.random import default_rng

from kls.analysis import wording
from kls.analysis.groups import Groups, Sample, group_runs
from kls.analysis.pivot import pivot
from kls.analysis.runs import read_runs
from kls.analysis.tables import Column, Table, group_table, latex, paper_table
from kls.errors import UserError

# Validation accuracies of three seeds. In pairs, c is 0.10 below a, with sd 0.002, and b 0.001, with sd 0.01.
SCORES = {
    ("3layer", 0.01): (0.500, 0.510, 0.520),
    ("9layer", 0.01): (0.509, 0.509, 0.509),
    ("3layer", 0.1): (0.398, 0.410, 0.422),
    ("9layer", 0.1): (0.300,),
}


def groups_of(folder: Path, score: str = "val_accuracy", **changes: str) -> Groups:
    for number, ((model, lam), values) in enumerate(SCORES.items()):
        for seed, value in enumerate(values):
            make_run(
                folder / str(number) / str(seed), value, test=value - 0.01, model=model, lam=lam, seed=seed,
                status=changes.get(f"{number}/{seed}", "finished"),
            )  # fmt: skip
    return group_runs(read_runs([folder]), score)


def test_groups_of_which_only_some_seeds_learn_are_not_compared(tmp_path: Path) -> None:
    scores = {"3layer": (0.50, 0.51, 0.52), "9layer": (0.51, 0.09, 0.49), "9layer_bn": (0.40, 0.41, 0.42)}
    for model, values in scores.items():
        for seed, value in enumerate(values):
            make_run(tmp_path / model / str(seed), value, model=model, seed=seed)
    groups = group_runs(read_runs([tmp_path]))
    table = group_table(groups)
    cells = {column.head: column.cells for column in table.columns}
    # one pair is tested of three groups less the one of two modes
    assert cells["model"] == ["3layer", "9layer_bn", "9layer"]
    assert cells["validation accuracy %"] == [
        "51.00 ± 1.00 (n=3)", "41.00 ± 1.00 (n=3)", "2 of 3 seeds learn: 49.00 to 51.00 %",
    ]  # fmt: skip
    assert cells["95 % interval"][2] == "-"
    assert cells["validation"] == ["best", "", ""]
    assert table.note.endswith("Groups of which only some seeds learn are not compared.")
    assert paper_table(groups).columns[1].cells == ["2 of 3 seeds learn: 49.00 to 51.00 %"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (math.nan, "-"), (True, "true"), (0.00123456, "0.001235"), (1e-5, "1e-05"), (450, "450"), ("a", "a")],
)
def test_settings(value: object, text: str) -> None:
    assert wording.setting_text(value) == text


def test_scores() -> None:
    sample = Sample("val_accuracy", pd.Series([0.5320, 0.5362]), "CIFAR-10")
    assert [
        wording.number("val_accuracy", 0.53406),
        wording.number("val_loss", 1.23456),
        wording.number("val_accuracy", math.nan),
        wording.number("val_accuracy", 0.53406, 1),
        wording.signed("val_accuracy", 0.012),
        wording.signed("val_accuracy", -0.3639),
        wording.signed("val_accuracy", -0.00001),
        wording.signed("val_loss", math.nan),
        wording.points("val_accuracy", -0.0958),
        wording.points("val_accuracy", 0.0031),
        wording.points("val_accuracy", 0.01),
        wording.points("val_loss", -0.1234),
        wording.mean_sd("val_accuracy", 0.5341, 0.0021),
        wording.mean_sd("val_loss", 1.2, math.nan),
        wording.sample_text(sample),
        wording.range_text("val_accuracy", -0.0771, 0.4071),
        wording.range_text("val_accuracy", 0.9, 1.2),
        wording.range_text("val_loss", 1.0, 1.5),
        wording.range_text("val_loss", math.nan, math.nan),
        wording.score_name("train_cost"),
        wording.score_head("val_accuracy"),
        wording.score_head("test_loss"),
        wording.score_axis("best_val_accuracy"),
        wording.setting_label("lam", 0.01),
        wording.setting_label("model", "3layer"),
        wording.listed(["a", "b", "c"]),
        wording.counted(1, "run"),
        wording.counted(1200, "run"),
        wording.duration(8.3),
        wording.duration(754),
        wording.duration(3900),
    ] == [
        "53.41", "1.235", "-", "53.4", "+1.20", "-36.39", "+0.00", "-", "9.6 points", "0.31 points", "1.0 point",
        "0.123", "53.41 ± 0.21", "1.200", "53.41 ± 0.30 % (n = 2)", "0.00 to 40.71", "90.00 to 100.00",
        "1.000 to 1.500", "-", "training cost", "validation accuracy %", "test loss", "Best validation accuracy (%)",
        "lam 0.01", "3layer", "a, b and c", "1 run", "1,200 runs", "8.3 s", "13 min", "1 h 05 min",
    ]  # fmt: skip


def test_ties_with_the_best_are_tested_by_pairs_of_seeds(tmp_path: Path) -> None:
    groups = groups_of(tmp_path)
    ties = groups.ties
    assert groups.labels() == ["9layer, lam 0.01", "3layer, lam 0.01", "3layer, lam 0.1", "9layer, lam 0.1"]
    assert ties["tied"].tolist() == [True, True, False, False]
    assert ties["difference"].tolist()[1:3] == pytest.approx([0.001, -0.099])
    # t = 0.001 / (0.01 / sqrt(3)) and -0.099 / (0.012 / sqrt(3)) with 2 degrees of freedom: p = 1 / sqrt(1 + 2 / t^2)
    # from the closed form 1 - |t| / sqrt(2 + t^2); there are 3 pairs of groups with more than one run
    small = 1 - 14.289419 / math.sqrt(2 + 14.289419**2)
    assert ties["p"].tolist()[1:3] == pytest.approx([1.0, 3 * small], rel=1e-5)
    assert math.isnan(ties.loc[3, "p"])


def test_single_runs_and_other_budgets_are_not_compared(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5)
    make_run(tmp_path / "1", 0.6, lam=0.1)
    groups = group_runs(read_runs([tmp_path]))
    assert groups.ties[["p", "tied"]].isna().to_numpy().tolist() == [[True, False], [True, False]]
    assert not groups.ties["tied"].any()
    assert "One run each" in group_table(groups).note
    make_run(tmp_path / "2", 0.6, optimizer__schedule__cycles=4)
    with pytest.raises(UserError, match="groups that are compared differ in planned_epochs: 20, 40"):
        _ = group_runs(read_runs([tmp_path])).ties


def test_groups_of_equal_truth_are_seldom_called_different(tmp_path: Path) -> None:
    """Six groups of four seeds with one true mean: any is told apart from the best in at most 5 % of cases."""
    for i in range(24):
        make_run(tmp_path / str(i), lam=0.1 * (i // 4), seed=i % 4)
    runs, rng, wrong = read_runs([tmp_path]), default_rng(0), 0
    for _ in range(100):
        runs.frame["val_accuracy"] = rng.normal(0.5, 0.01, 24)
        wrong += not group_runs(runs).ties["tied"].all()
    assert wrong <= 5


def test_the_table_of_groups(tmp_path: Path) -> None:
    groups = groups_of(tmp_path, "test_accuracy", **{"2/0": "pruned"})
    table = group_table(groups)
    assert {column.head: column.cells for column in table.columns} == {
        "model": ["9layer", "3layer", "3layer", "9layer"],
        "lam": ["0.01", "0.01", "0.1", "0.1"],
        "test accuracy %": ["49.90 ± 0.00 (n=3)", "50.00 ± 1.00 (n=3)", "40.60 ± 0.85 (n=2)", "29.00 (n=1)"],
        "95 % interval": ["49.90 to 49.90", "47.52 to 52.48", "32.98 to 48.22", "-"],
        "validation accuracy %": ["50.90 ± 0.00 (n=3)", "51.00 ± 1.00 (n=3)", "41.60 ± 0.85 (n=2)", "30.00 (n=1)"],
        "validation": ["best", "tied", "tied", ""],
        "pruned": ["", "", "1", ""],
    }
    assert [column.bold for column in table.columns if column.bold] == [[True, True, True, False]]
    assert table.note.startswith(
        "Means over seed. 1 run pruned and in no mean. "
        "Not told apart from the best by validation accuracy, 9layer, lam 0.01 (5 %, Holm): "
        "3layer, lam 0.01; 3layer, lam 0.1. "
    )
    assert table.note.endswith(" would have shown in 80 % of cases.")
    first = group_table(groups, [1, 2])
    assert {column.head: column.cells for column in first.columns}["lam"] == ["0.01", "0.1"]
    assert first.note.startswith("In all rows: 3layer. ")


def test_the_only_group_has_its_keys_and_no_ties(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.1, status="diverged")
    groups = group_runs(read_runs([tmp_path]), by=["lam"])
    table = group_table(groups)
    assert [(column.head, column.cells) for column in table.columns] == [
        ("lam", ["0.005"]), ("validation accuracy %", ["10.00 (n=1)"]), ("diverged", ["1"]),
    ]  # fmt: skip
    assert table.note == "One run each. 1 run diverged and counts as chance."


def test_pivot(tmp_path: Path) -> None:
    cells = pivot(groups_of(tmp_path), ["model"], "lam")
    assert (cells.rows, cells.columns, cells.values, cells.head) == (
        ["3layer", "9layer"], ["0.01", "0.1"], [0.01, 0.1], "lam",
    )  # fmt: skip
    assert cells.places == [[1, 2], [0, 3]]
    assert [[sample.n for sample in row if sample] for row in cells.cells] == [[3, 3], [3, 1]]
    alone = pivot(groups_of(tmp_path / "more"), ["bn.enabled", "lam", "model"], "hidden")
    assert alone.rows == ["lam 0.01, 3layer", "lam 0.01, 9layer", "lam 0.1, 3layer", "lam 0.1, 9layer"]
    assert [[sample is not None for sample in row] for row in alone.cells] == 2 * [[False, True], [True, False]]
    with pytest.raises(UserError, match=r"runs in one cell differ in lam: 0.01, 0.1; name it"):
        pivot(groups_of(tmp_path / "again"), [], "model")


def test_the_table_of_a_paper(tmp_path: Path) -> None:
    groups = groups_of(tmp_path)
    table = paper_table(groups)
    assert table.note.startswith("Validation accuracy % on CIFAR-10, mean ± standard deviation (n = 1 to 3). Means")
    assert latex(table, "outputs/My_grid val_accuracy", "50 % of my_data") == (
        "\\begin{table}[htbp]\n"
        "\\centering\n"
        "\\caption{50 \\% of my\\_data}\n"
        "\\label{tab:outputs-my-grid-val-accuracy}\n"
        "\\begin{tabular}{lrr}\n"
        "\\toprule\n"
        " & 3layer & 9layer \\\\\n"
        "\\midrule\n"
        "lam 0.01 & \\textbf{51.00 $\\pm$ 1.00} & \\textbf{50.90 $\\pm$ 0.00} \\\\\n"
        "lam 0.1 & 41.00 $\\pm$ 1.20 & 30.00 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "\\end{table}\n"
    )


def test_latex_shows_all_text_as_it_is() -> None:
    text = latex(Table([Column("a_b %", ["[50, 50] & \\input{x}"])], "~"), "x")
    assert "a\\_b \\% \\\\\n\\midrule\n{[}50, 50{]} \\& \\textbackslash{}input\\{x\\} \\\\\n" in text
    assert "\\caption{\\textasciitilde{}}" in text
