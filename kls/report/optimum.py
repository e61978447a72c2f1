"""The block of tables on what a search found: the optimum of each searched number, or which settings matter."""

from __future__ import annotations

from kls.analysis.optima import optima
from kls.analysis.runs import Runs
from kls.analysis.tables import rows_table
from kls.analysis.wording import is_accuracy, score_name
from kls.report.document import Block, Heading, Paragraph, TableBlock

_TEXTS = ("budget",)


def optimum_blocks(runs: Runs, score: str, level: int) -> list[Block]:
    """Under a heading of that level; none if no number was searched alone and no record has importances."""
    blocks = list[Block]()
    if found := optima(runs, score):
        blocks += [TableBlock(rows_table([one.cells() for one in found], _TEXTS)), Paragraph(_note(score), "note")]
    blocks += _importances(runs)
    return [Heading("Optimum" if found else "Importances", level), *blocks] if blocks else []


def _note(score: str) -> str:
    """How the table is to be read."""
    side = "highest" if is_accuracy(score) else "lowest"
    return (
        f"Best: where a smooth curve through the {score_name(score)} of all trials of a budget is {side}, with the "
        "95 % interval of that place. Flat region: values that cannot be told from it (5 %). The best mean tried owes "
        "part of its score to luck."
    )


def _importances(runs: Runs) -> list[Block]:
    """For each stage that recorded them the shares of its settings, by Optuna's evaluators, a column each."""
    rows = []
    for name, sweep in runs.sweeps.items():
        for stage in sweep.stages:
            known = {"sweep": name} if len(runs.sweeps) > 1 else {}
            settings = dict.fromkeys(key for shares in stage.importances.values() for key in shares)
            for key in settings:
                shares = {
                    evaluator.removesuffix("ImportanceEvaluator"): f"{own[key]:.2f}" if key in own else "-"
                    for evaluator, own in stage.importances.items()
                }
                rows.append({"setting": key, **known, "stage": stage.name, **shares})
    if not rows:
        return []
    words = "The share of what the searched settings change in the score of a stage's trials, by Optuna's "
    return [TableBlock(rows_table(rows, ("sweep", "stage"))), Paragraph(f"{words}evaluators.", "note")]
