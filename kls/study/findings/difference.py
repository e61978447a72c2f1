"""Finding: how much higher one sample is than another, with the interval of the difference."""

import math

from kls.analysis.groups import modes_text
from kls.analysis.pair import Pair
from kls.analysis.pivot import select
from kls.analysis.runs import Runs
from kls.analysis.wording import capital, score_name
from kls.config.study_file import Difference
from kls.errors import UserError
from kls.report.document import Block
from kls.study.findings.common import Context


def p_value(finding: Difference, runs: Runs) -> float:
    """Of the test that the difference is 0; NaN if there is none."""
    try:
        found = _pair(finding, runs).difference
    except UserError:
        return math.nan
    return math.nan if found is None else found.p


def difference(finding: Difference, runs: Runs, context: Context) -> tuple[str, list[Block]]:
    """The sentence. Raises UserError if a side has no runs, or runs that differ otherwise than by seeds."""
    pair = _pair(finding, runs)
    where = f"the {score_name(pair.b.score)} of {finding.to}"
    return pair.sentence(capital(finding.what), where, context.p, context.tests), []


def _pair(finding: Difference, runs: Runs) -> Pair:
    a, b = select(runs, finding.a, finding.score), select(runs, finding.b, finding.score_b or finding.score)
    return Pair(a, b, (modes_text(runs, a), modes_text(runs, b)))
