"""Finding: where the best value of a searched setting lies, how flat the curve is there, and what confirmed it."""

import numpy as np

from kls.analysis import curve
from kls.analysis.columns import find_column, sort_key
from kls.analysis.groups import TEST, group_runs, sections
from kls.analysis.runs import Runs
from kls.analysis.search import searches
from kls.analysis.wording import counted, number, points, sample_text, setting_text
from kls.config.study_file import Optimum
from kls.errors import UserError
from kls.records import names
from kls.report.document import Block
from kls.study.findings.common import Context

_SCORE = names.VAL_ACCURACY


def optimum(finding: Optimum, runs: Runs, context: Context) -> tuple[str, list[Block]]:
    """The sentences."""
    return best_of(finding, runs)[0], []


def best_of(finding: Optimum, runs: Runs) -> tuple[str, dict[str, str]]:
    """The optimum by validation accuracy in the longest training of a search: sentences, and cells of a table.

    Raises UserError if the setting was not searched.
    """
    key = find_column(finding.setting, runs.settings)
    search = next((search for search in searches(runs) if search.key == key), None)
    if search is None:
        raise UserError(f"fewer than two values of {finding.setting} were tried")
    head, trials = search.head, search.trials[~search.trials["repeated"]]
    trials = trials[trials["x"] > 0] if search.log else trials
    if trials.duplicated(["seeds", "x"]).any():
        raise UserError(f"runs with the same {finding.setting} and seed differ in other settings")
    table = trials.assign(seeds=trials["seeds"].map(str)).pivot_table("score", "seeds", "x")
    x, means, single = table.columns.to_numpy(np.float64), table.mean().to_numpy(), len(trials) == table.shape[1]
    found = curve.optimum(x, table if table.notna().all(axis=None) else means, search.log)
    best, top = float(x[means.argmax()]), float(means.max())
    tried = counted(len(trials), "run") + ("" if single else f" at {counted(len(x), 'value')}")
    ends = ((found.place.low, found.place.high), found.flat)
    interval, flat = (f"{low:.3g} to {high:.3g}" for low, high in ends)
    place, highest = f"{head} {found.place.centre:.3g}", f"{number(_SCORE, top)} % at {head} {setting_text(best)}"
    sentences = [
        f"By a smooth curve through {tried} ({search.section}), validation accuracy is highest at {place} (95 % "
        f"interval {interval}), and from {flat} it cannot be told from that.",
        f"The highest {f'single run, {highest}, owes part of that to luck' if single else f'mean is {highest}'}.",
    ]
    if found.at_end:
        sentences.append(f"It is the {found.at_end} value tried: the optimum may lie beyond.")
    again, confirming = ["-", "-"], [s.name for sweep in runs.sweeps.values() for s in sweep.stages if s.confirm]
    for section in sections(runs):
        groups = group_runs(section.runs.chosen(section.runs.frame["stage"].isin(confirming)), _SCORE)
        for i, run in enumerate(groups.first):
            mean, value = groups.samples(i).mean, groups.runs.frame.at[run, key]
            again = [sample_text(groups.samples(i, s)) if s in groups.scores else "-" for s in (_SCORE, TEST)]
            at = f"{head} {setting_text(value)} ({section.name})"
            words = f"Run again at {at}: validation {again[0]}, test {again[1]}"
            if section.name != search.section:
                words += "; trained for another time than in the search, so the two are not compared"
            elif single and sort_key(value) == sort_key(best) and top > mean:
                words += f"; the run that was chosen had {points(_SCORE, top - mean)} more than this mean"
            sentences.append(f"{words}.")
    cells = {"tried": tried, "best value (95 % interval)": f"{place} ({interval})"}
    return " ".join(sentences), {**cells, "again: validation": again[0], "again: test": again[1]}
