"""Populations that are trained in the test's own process, as a launcher would."""

from __future__ import annotations

from collections.abc import Sequence

from kls.engines.processes import Processes
from kls.engines.tasks import Errors, Population, train_populations


def errors_of(populations: Sequence[Population]) -> Errors:
    """Train all jobs; gives the errors of those that failed, by folder."""
    found: Errors = {}

    def on_end(population: Population, errors: Errors) -> bool:
        found.update(errors)
        return True

    train_populations(Processes(1, timeout=60.0), populations, 0, on_end)
    return found
