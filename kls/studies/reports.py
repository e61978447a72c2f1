"""Writes the reports of studies in a thread, beside the steps that still run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kls.errors import UserError
from kls.records.escape import one_line
from kls.studies.definition import Study


class Reports:
    """Context whose end waits for all reports; ``failures`` holds a line for each that could not be written."""

    def __init__(self, out: Path, say: Callable[[str], None]) -> None:
        self.failures: list[str] = []
        self._out, self._say = out, say
        self._pool = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> Reports:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)

    def study(self, study: Study) -> None:
        """Have the report of one study written."""

        def write() -> Path:
            from kls.reporting.study_report import write_study_report

            return write_study_report(study, self._out)

        self._pool.submit(self._told, study.key, write)

    def overview(self, studies: Sequence[Study]) -> None:
        """Have the overview of several studies written."""

        def write() -> Path:
            from kls.reporting.overview import write_overview

            return write_overview(studies, self._out)

        self._pool.submit(self._told, "overview", write)

    def _told(self, name: str, write: Callable[[], Path]) -> None:
        """A report that fails is told in a line, whatever it is: the runs are not lost with it."""
        try:
            self._say(f"{name}: report in {write()}")
        except Exception as error:
            kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            self.failures.append(one_line(f"{name}: no report: {kind}{error}"))
            self._say(self.failures[-1])
