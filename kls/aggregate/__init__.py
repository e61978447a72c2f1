"""Tables and pictures of many runs. pandas is imported by modules of this package only, and when they are used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def report(
    folder: Path,
    out: Path | None = None,
    *,
    by: Sequence[str] = (),
    metric: str | None = None,
    where: str | None = None,
    sort: str | None = None,
    top: int = 5,
    curves: int = 5,
) -> str:
    """Aggregate the runs under ``folder``, write tables and pictures to ``out``, and return the text to print.

    ``out`` is ``folder`` if not given. The other arguments are the options of ``python -m kls.aggregate``.
    A best value at the end of its interval has a line that begins with "EDGE:"; a folder that cannot be read
    has one that begins with "skipped:".

    Raises UserError where there are no runs, or an argument names what is not there.
    """
    from kls.aggregate.aggregation import Wishes, aggregate

    skipped: list[str] = []
    wishes = Wishes(tuple(by), metric, where, sort, top, curves)
    text = aggregate([Path(folder)], Path(out) if out else Path(folder), wishes, skipped.append)
    return "\n".join([text, *skipped])
