"""Finding: at which values of a setting networks learn, and at which they stay at chance."""

import numpy as np

from kls.analysis.groups import group_runs, learn_text
from kls.analysis.pivot import Pivot, pivot
from kls.analysis.runs import Runs
from kls.analysis.tables import rows_table
from kls.analysis.wording import capital, counted, is_accuracy, listed, scale, score_axis, score_name
from kls.config.study_file import Learning
from kls.errors import UserError
from kls.plots.heatmap import plot_heatmap
from kls.report.document import Block, Paragraph, Picture, TableBlock
from kls.report.pictures import FORMATS
from kls.study.findings.common import Context, data_text

_WORDS = (
    "How many seeds learn, and the range of their {} on {}. A seed learns if it ends above chance by more than five "
    "standard deviations of a guess."
)


def learning(finding: Learning, runs: Runs, context: Context) -> tuple[str, list[Block]]:
    """The sentences, and a table with the number of seeds that learn. Raises UserError if there are no accuracies."""
    if not is_accuracy(finding.score):
        raise UserError(f"{finding.score} is no accuracy, so it has no chance level")
    table, rows = pivot(group_runs(runs, finding.score), [finding.by], finding.setting), list[dict[str, str]]()
    alike: dict[tuple[tuple[str, int, int], ...], list[str]] = {}  # rows by value, seeds that learn, and seeds
    for label, samples in zip(table.rows, table.cells, strict=True):
        there = [(value, s, *learn_text(runs, s)) for value, s in zip(table.columns, samples, strict=True) if s][::-1]
        cells = {f"{table.head} {value}": f"{k} of {s.n}{ends and ': '}{ends}" for value, s, k, ends in there}
        rows.append({"": label or "all networks", **cells})
        alike.setdefault(tuple((value, k, s.n) for value, s, k, _ in there), []).append(rows[-1][""])
    picture = _picture(table, finding.score, context) if min(len(table.rows), len(table.columns)) > 2 else []
    words = Paragraph(_WORDS.format(score_name(finding.score), data_text(runs)))
    sentences = [_sentence(labels, counts, table.head) for counts, labels in alike.items()]
    return " ".join(sentences), [words, TableBlock(rows_table(rows)), *picture]


def _sentence(labels: list[str], counts: tuple[tuple[str, int, int], ...], setting: str) -> str:
    """For example "3layer (9 runs): all seeds learn at sigma 0.1, 1 of 3 learn at sigma 0.01, none learns at ..."."""
    found: dict[str, list[str]] = {}
    for value, k, n in counts:
        words = "all seeds learn" if k == n else f"{k} of {n} learn" if k else "none learns"
        found.setdefault(words, []).append(value)
    parts = [f"{words} at {setting} {listed(values)}" for words, values in found.items()]
    if len(found) == 1 < len(counts):
        parts = [f"{words} at {'any' if words == 'none learns' else 'every'} {setting}" for words in found]
    runs = counted(sum(n for *_, n in counts), "run") + (" each" if len(labels) > 1 else "")
    return f"{capital(listed(labels))} ({runs}): {', '.join(parts)}."


def _picture(table: Pivot, score: str, context: Context) -> list[Picture]:
    """Mean scores as a heat map."""
    means = np.array([[scale(score) * s.mean if s else np.nan for s in samples] for samples in table.cells])
    name, title = f"{context.stem}heatmap.png", f"Mean {score_name(score)}"
    across = (table.head, table.columns)
    plot_heatmap(means, ("", table.rows), across, score_axis(score), context.folder / name, title, FORMATS)
    return [Picture(name, f"{title}, of all seeds; darker is higher.", f"{title} by {table.head}", context.folder)]
