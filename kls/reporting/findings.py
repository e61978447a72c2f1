"""Findings: sentences made from numbers, with what shows them. None of them is written in advance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kls.aggregate.document import Block
from kls.errors import UserError
from kls.reporting.cross import cross
from kls.reporting.gain import gain_said
from kls.reporting.learning import learning
from kls.reporting.optimum import optimum
from kls.reporting.results import StepResult
from kls.reporting.trend import trend
from kls.reporting.wording import capital
from kls.studies.definition import Cross, Finding, Gain, Learning, Optimum, Trend


@dataclass(frozen=True)
class Found:
    """What a finding comes to: a sentence or several, and tables and pictures that show it."""

    step: str
    sentence: str
    blocks: Sequence[Block] = ()


def find(finding: Finding, result: StepResult, folder: Path, stem: str) -> Found:
    """The finding from the runs of its step; pictures go to ``folder``, their names begin with ``stem``.

    Where the runs that it needs are not there, the sentence says so.
    """
    try:
        if result.runs is None:
            raise UserError("its step has no runs")
        match finding:
            case Gain():
                return Found(finding.step, gain_said(finding, result.runs))
            case Optimum():
                return Found(finding.step, optimum(finding, result.runs).sentences())
            case Learning():
                return Found(finding.step, *learning(finding, result.runs))
            case Cross():
                return Found(finding.step, *cross(finding, result.runs, folder, stem))
            case Trend():
                return Found(finding.step, *trend(finding, result.runs, folder, stem))
    except UserError as error:
        return Found(finding.step, f"{_subject(finding)}: not known, {error}.")


def _subject(finding: Finding) -> str:
    match finding:
        case Gain():
            return capital(f"{finding.what} and {finding.to}")
        case Trend() | Cross():
            return capital(finding.what)
        case Optimum():
            return f"The best {finding.setting}"
        case Learning():
            return f"Learning against {finding.setting}"
