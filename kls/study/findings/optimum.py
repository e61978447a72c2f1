"""Finding: where the best value of a searched setting lies, how flat the curve is there, and what confirmed it."""

from kls.analysis.columns import find_column, sort_key
from kls.analysis.groups import TEST, group_runs, sections
from kls.analysis.optima import search_optimum
from kls.analysis.runs import Runs
from kls.analysis.search import searches
from kls.analysis.wording import is_accuracy, points, sample_text, score_name, setting_text
from kls.config.study_file import Optimum
from kls.errors import UserError
from kls.report.document import Block
from kls.study.findings.common import Context


def optimum(finding: Optimum, runs: Runs, context: Context) -> tuple[str, list[Block]]:
    """The sentences."""
    return best_of(finding, runs)[0], []


def best_of(finding: Optimum, runs: Runs) -> tuple[str, dict[str, str]]:
    """The optimum in the longest training of a search: sentences, and cells of a table.

    Raises UserError if the setting was not searched.
    """
    key = find_column(finding.setting, runs.settings)
    search = next((search for search in searches(runs) if search.key == key), None)
    if search is None:
        raise UserError(f"fewer than two values of {finding.setting} were tried")
    found, head = search_optimum(search), search.head
    (best, top), score = found.highest, search.score
    side, more = ("highest", "more") if is_accuracy(score) else ("lowest", "less")
    place, highest = f"{head} {found.place}", found.highest_text
    sentences = [
        f"By a smooth curve through {found.tried} ({search.section}), {score_name(score)} is {side} at {place} (95 % "
        f"interval {found.interval}), and from {found.flat} it cannot be told from that.",
        f"The {side} {f'single run, {highest}, owes part of that to luck' if found.single else f'mean is {highest}'}.",
    ]
    if found.curve.at_end:
        sentences.append(f"It is the {found.curve.at_end} value tried: the optimum may lie beyond.")
    again, confirming = ["-", "-"], [s.name for sweep in runs.sweeps.values() for s in sweep.stages if s.confirm]
    for section in sections(runs):
        groups = group_runs(section.runs.chosen(section.runs.frame["stage"].isin(confirming)), score)
        for i, run in enumerate(groups.first):
            mean, value = groups.samples(i).mean, groups.runs.frame.at[run, key]
            again = [sample_text(groups.samples(i, s)) if s in groups.scores else "-" for s in (score, TEST)]
            at = f"{head} {setting_text(value)} ({section.name})"
            words = f"Run again at {at}: validation {again[0]}, test {again[1]}"
            if section.name != search.section:
                words += "; trained for another time than in the search, so the two are not compared"
            elif found.single and sort_key(value) == sort_key(best) and (top > mean) == is_accuracy(score):
                words += f"; the run that was chosen had {points(score, top - mean)} {more} than this mean"
            sentences.append(f"{words}.")
    before = runs.frame[~runs.frame["stage"].isin(confirming)]
    cells = {"tried": found.tried, "epochs": f"{sum(before.reindex(columns=['epochs'])['epochs'].dropna()):,.0f}"}
    cells["best value (95 % interval)"] = f"{place} ({found.interval})"
    return " ".join(sentences), {**cells, "again: validation": again[0], "again: test": again[1]}
