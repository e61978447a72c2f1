"""Tables as text, Markdown and LaTeX, to the letter."""

import math

import pytest

from kls.aggregate.document import Grid, Heading, Items, Line, Picture, as_markdown, as_text
from kls.aggregate.group_table import mean_text
from kls.aggregate.tables import (
    Column,
    Table,
    make_table,
    score_label,
    score_name,
    score_said,
    score_text,
    setting_text,
)
from kls.records.escape import latex_escaped, markdown_escaped


def example() -> Table:
    return make_table(
        [
            Column("model", ["3layer_bn", "9layer"], 1),
            Column("hidden", ["[50, 50]", "[9]"], 1),
            Column("lam", ["0.01", "0.01"], 1),
            Column("sigma", ["-", "-"], 1),
            Column("val accuracy %", ["53.41 ± 0.21 (n=5)", "9.10 (n=1)"], 0, number=True),
            Column("95 % interval", ["53.15 to 53.67", "-"], 4, number=True),
            Column("diverged", ["", ""], 2, number=True),
        ]
    )


def test_columns_of_one_value_are_told_once_and_empty_ones_not_at_all() -> None:
    table = example()
    assert [column.head for column in table.columns] == ["model", "hidden", "val accuracy %", "95 % interval"]
    assert table.constant == ["lam 0.01"]
    single = make_table([Column("lam", ["1"], 1), Column("val", ["2"], number=True)])
    assert [column.head for column in single.columns] == ["lam", "val"]
    equal = make_table([Column("lam", ["1", "2"], 1), Column("val", ["2", "2"], number=True)])
    assert [column.head for column in equal.columns] == ["lam", "val"]


def test_text() -> None:
    assert example().text(120) == (
        "model      hidden        val accuracy %    95 % interval\n"
        "---------  --------  ------------------  ---------------\n"
        "3layer_bn  [50, 50]  53.41 ± 0.21 (n=5)   53.15 to 53.67\n"
        "9layer     [9]               9.10 (n=1)                -"
    )


def test_what_does_not_fit_is_left_out_by_rank_and_named() -> None:
    assert example().text(45) == (
        "model      hidden        val accuracy %\n"
        "---------  --------  ------------------\n"
        "3layer_bn  [50, 50]  53.41 ± 0.21 (n=5)\n"
        "9layer     [9]               9.10 (n=1)\n"
        "not shown, too wide: 95 % interval"
    )
    narrow = example().text(20).splitlines()
    assert narrow[0] == "    val accuracy %"
    assert narrow[-1] == "not shown, too wide: model, hidden, 95 % interval"


def test_markdown() -> None:
    assert Grid(example()).markdown() == (
        "| model      | hidden   |     val accuracy % |   95 % interval |\n"
        "|:-----------|:---------|-------------------:|----------------:|\n"
        "| 3layer\\_bn | [50, 50] | 53.41 ± 0.21 (n=5) |  53.15 to 53.67 |\n"
        "| 9layer     | [9]      |         9.10 (n=1) |               - |\n"
        "\n"
        "in all rows: lam 0.01"
    )


def test_latex() -> None:
    assert example().latex("100 % of my_data", "tab:a") == (
        "\\begin{table}[htbp]\n"
        "\\centering\n"
        "\\caption{100 \\% of my\\_data}\n"
        "\\label{tab:a}\n"
        "\\begin{tabular}{llrr}\n"
        "\\toprule\n"
        "model & hidden & val accuracy \\% & 95 \\% interval \\\\\n"
        "\\midrule\n"
        "3layer\\_bn & {[}50, 50{]} & 53.41 $\\pm$ 0.21 (n=5) & 53.15 to 53.67 \\\\\n"
        "9layer & {[}9{]} & 9.10 (n=1) & - \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "\\end{table}\n"
    )


def test_signs_of_latex_and_markdown_are_escaped() -> None:
    escaped = r"\&\%\$\#\_\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}\textless{}\textgreater{}"
    assert latex_escaped("&%$#_{}~^\\<>") == escaped
    assert markdown_escaped("a|b *c* `d` <e> #f \\") == "a\\|b \\*c\\* \\`d\\` \\<e\\> \\#f \\\\"


def test_a_document_as_text_and_markdown() -> None:
    many = Table([Column("lam", [str(i) for i in range(120)])], [])
    blocks = [Heading("All_runs", 1), Line("10 runs."), Heading("Best", 2), Items(["a|b", "c"])]
    text = as_text([*blocks, Picture("p.png", "A picture")])
    assert text == "All_runs\n========\n10 runs.\n\nBest\n  a|b\n  c\npicture p.png: A picture"
    markdown = as_markdown([*blocks, Picture("p.png", "A picture")])
    assert markdown == ("# All\\_runs\n\n10 runs.\n\n## Best\n\n- a\\|b\n- c\n\n![A picture](p.png)\n")
    assert Grid(many).text().splitlines()[-2:] == ["29", "... and 90 more"]
    assert Grid(many).markdown().splitlines()[-3:] == ["| 99    |", "", "... and 20 more"]
    assert Items([str(i) for i in range(16)]).text().splitlines()[-2:] == ["  14", "  ... and 1 more"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (math.nan, "-"), (True, "true"), (0.00123456, "0.001235"), (1e-5, "1e-05"), (450, "450"), ("a", "a")],
)
def test_settings(value: object, text: str) -> None:
    assert setting_text(value) == text


def test_scores() -> None:
    assert score_text("val_accuracy", 0.53406) == "53.41"
    assert score_text("val_loss", 1.23456) == "1.235"
    assert score_text("val_loss", math.inf) == "inf"
    assert score_text("val_accuracy", math.nan) == "-"
    assert (score_name("val_accuracy"), score_name("test_loss")) == ("val accuracy %", "test loss")
    assert score_said("val_accuracy", 0.5) == "val accuracy 50.00 %"
    assert score_label("best_val_accuracy") == "Best validation accuracy (%)"
    assert score_label("train_cost") == "Training cost"
    assert mean_text("val_accuracy", 0.5341, 0.0021, 5) == "53.41 ± 0.21 (n=5)"
    assert mean_text("val_accuracy", 0.5341, math.nan, 1, " %") == "53.41 % (n=1)"
    assert mean_text("val_accuracy", math.nan, math.nan, 0) == "-"


def test_html_breaks_lines_of_numbers_behind_commas_and_semicolons_alone() -> None:
    table = Table([Column("a & b", ["x; y"]), Column("n", ["1 ± 2; 3 < 4"], number=True)], [])
    assert table.html() == (
        '<div class="scroll"><table>\n'
        '<thead><tr><th class="t">a &amp; b</th><th class="n">n</th></tr></thead>\n'
        "<tbody>\n"
        '<tr><td class="t">x; y</td><td class="n"><span>1 ± 2;</span> <span>3 &lt; 4</span></td></tr>\n'
        "</tbody></table></div>"
    )
