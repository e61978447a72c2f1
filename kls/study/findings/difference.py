"""Finding: how much higher one sample is than another, with the interval of the difference."""

import math

from kls.analysis import statistics
from kls.analysis.groups import Sample, modes_text
from kls.analysis.pivot import select
from kls.analysis.runs import Runs
from kls.analysis.wording import capital, points, sample_text, score_name, signed
from kls.config.study_file import Difference
from kls.errors import UserError
from kls.report.document import Block
from kls.study.findings.common import Context, p_text


def p_value(finding: Difference, runs: Runs) -> float:
    """Of the test that the difference is 0; NaN if there is none."""
    try:
        a, b = _samples(finding, runs)
    except UserError:
        return math.nan
    return math.nan if modes_text(runs, a) or modes_text(runs, b) else statistics.difference(a.values, b.values).p


def difference(finding: Difference, runs: Runs, context: Context) -> tuple[str, list[Block]]:
    """The sentence. Raises UserError if a side has no runs, or runs that differ otherwise than by seeds."""
    a, b = _samples(finding, runs)
    what, where, score = capital(finding.what), f"the {score_name(b.score)} of {finding.to}", finding.score
    sides = " against ".join(modes_text(runs, sample) or sample_text(sample) for sample in (a, b)) + f" on {a.data}"
    if modes_text(runs, a) or modes_text(runs, b):
        return f"{what}, {where}: {sides}. Means are not compared, since only some seeds learn.", []
    found = statistics.difference(a.values, b.values)
    change, low, high = found.interval.centre, found.interval.low, found.interval.high
    changes = f"{what} {'raises' if change >= 0 else 'lowers'} {where} by {points(score, change)}"
    if not found.interval.known:
        return f"{changes} (one run on a side: no interval, this may be noise): {sides}.", []
    holm = f" by Holm's method for {context.tests} differences" if context.tests > 1 else ""
    ends = f"95 % interval {signed(score, low)} to {signed(score, high)}"
    evidence = f"{ends}; {p_text(context.p)}{holm}; {found.method}"
    if context.p < 1.0 - statistics.LEVEL:
        return f"{changes} ({evidence}): {sides}.", []
    seen = f" A difference of {points(score, found.detectable)} would have been seen with 80 %." if high > low else ""
    noise = f"{what} makes no difference to {where} that can be told from noise: {signed(score, change)}"
    return f"{noise} ({evidence}); {sides}.{seen}", []


def _samples(finding: Difference, runs: Runs) -> tuple[Sample, Sample]:
    return select(runs, finding.a, finding.score), select(runs, finding.b, finding.score_b or finding.score)
