"""All findings of a study: sentences made from numbers, with the blocks that show them."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kls.analysis.runs import Runs
from kls.analysis.statistics import holm
from kls.analysis.wording import capital
from kls.config.study_file import Difference, Study
from kls.errors import UserError
from kls.report.document import Block
from kls.study.findings.common import Context
from kls.study.findings.comparison import comparison
from kls.study.findings.difference import difference, p_value
from kls.study.findings.learning import learning
from kls.study.findings.optimum import optimum
from kls.study.findings.trend import trend
from kls.study.results import StepResult

KINDS: dict[str, Callable[[Any, Runs, Context], tuple[str, list[Block]]]] = {
    "difference": difference, "optimum": optimum, "learning": learning, "comparison": comparison, "trend": trend,
}  # fmt: skip


class Found(NamedTuple):
    """What a finding of a step comes to: a sentence or several, and blocks that show it."""

    step: str
    sentence: str
    blocks: list[Block]


def find_all(study: Study, steps: Mapping[str, StepResult], folder: Path) -> list[Found]:
    """All findings of steps that have been run; pictures go to ``folder``. A sentence says what cannot be computed."""
    there = [(finding, runs) for finding in study.findings if (runs := steps[finding.step].runs) is not None]
    p = [p_value(finding, runs) if isinstance(finding, Difference) else math.nan for finding, runs in there]
    adjusted, found = holm(np.array(p, np.float64)), list[Found]()
    for number, ((finding, runs), own) in enumerate(zip(there, adjusted.tolist(), strict=True), start=1):
        stem = f"report-{steps[finding.step].step.folder}-{number}-"
        try:
            context = Context(folder, stem, own, int(np.isfinite(adjusted).sum()))
            sentence, blocks = KINDS[finding.kind](finding, runs, context)
        except UserError as error:
            subject = getattr(finding, "what", "") or f"{finding.kind} of {getattr(finding, 'setting', '')}"
            sentence, blocks = f"{capital(subject)}: not known, {error}.", []
        found.append(Found(finding.step, sentence, blocks))
    return found
