"""Finding: mean scores over one setting by others, and at each of its values what is not told apart from the best."""

from kls.analysis.columns import equal_to
from kls.analysis.groups import group_runs, modes_text
from kls.analysis.pivot import pivot
from kls.analysis.runs import Runs
from kls.analysis.tables import rows_table
from kls.analysis.wording import capital, listed, points, sample_text, score_name
from kls.config.study_file import Comparison
from kls.errors import UserError
from kls.records import names
from kls.report.document import Block, Paragraph, TableBlock
from kls.report.pictures import means_picture
from kls.study.findings.common import Context, data_text


def comparison(finding: Comparison, runs: Runs, context: Context) -> tuple[str, list[Block]]:
    """A part of a sentence for each value of the setting, a table and a picture. Raises UserError without two rows."""
    key, groups = runs.column(finding.setting), group_runs(runs, finding.score)
    table = pivot(groups, finding.by, key)
    if len(table.rows) < 2:
        raise UserError(f"{listed(finding.by)}: fewer than two values have results")
    places = [f"{table.head} {text}" for text in table.columns]
    own = [_best(finding, runs.chosen(equal_to(runs.frame[key], value))) for value in table.values]
    parts = [f"at {place} {best}" for place, best in zip(places, own, strict=True)]
    cells = [[modes_text(runs, s) or sample_text(s) if s else "-" for s in samples] for samples in table.cells]
    rows = [{"": label, **dict(zip(places, own, strict=True))} for label, own in zip(table.rows, cells, strict=True)]
    title = f"{capital(finding.what)}, {score_name(finding.score)} on {data_text(runs)}"
    sentence = f"{title}, best by validation (Holm's method for all pairs at a {table.head}): {'; '.join(parts)}."
    picture = means_picture(groups, finding.by, key, context.folder, f"{context.stem}comparison.png", title)
    return sentence, [Paragraph(f"{title}:"), TableBlock(rows_table(rows)), *picture]


def _best(finding: Comparison, runs: Runs) -> str:
    """For example "it is a 49.46 ± 0.22 % (n = 3); below: b 32.89 ± 1.55 % (n = 3)", or what is tied."""
    groups = group_runs(runs, finding.score)
    table, ties = pivot(groups, finding.by, finding.setting), groups.ties
    rows = zip(table.rows, table.places, strict=True)
    some = groups.some_learn(names.VAL_ACCURACY)
    samples = [(i, label, groups.samples(i)) for label, (i,) in rows]
    cells = {i: f"{label} {modes_text(runs, sample) or sample_text(sample)}" for i, label, sample in samples}
    level = [i for i in sorted(cells) if ties["tied"][i] or (ties["p"].isna()[i] and not some[i])]
    level = level or sorted(cells)
    best, below = f"it is {cells[level[0]]}", listed([cells[i] for i in sorted(cells) if i not in level])
    if ties["p"].isna().all():
        return f"{best}, {'of single runs, so this may be noise' if len(level) > 1 else 'the only one'}"
    if below:
        return f"{best}; below: {below}" if len(level) == 1 else f"all are tied but these, which are below: {below}"
    seen = points(names.VAL_ACCURACY, ties["detectable"].max())
    return f"all {len(level)} are tied (a difference of {seen} would have been seen with 80 %)"
