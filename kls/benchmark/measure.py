"""Runs the benchmark of training: starts the workers and times every contender at every work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace

from kls.benchmark.cases import OURS, Contender, Work, contenders
from kls.benchmark.interleave import Worker, round_robin
from kls.benchmark.table import Measurement


@dataclass(frozen=True)
class Effort:
    """How much is measured: steps of a measurement, rounds of them, pictures to choose from; for which networks."""

    steps: int
    rounds: int
    pictures: int
    inputs: tuple[int, ...]
    populations: tuple[int, ...]


def measure(
    works: Sequence[Work], peers: Sequence[str], effort: Effort, say: Callable[[str], None]
) -> tuple[list[Measurement], dict[str, str]]:
    """All measurements, and the versions of the peers that are installed. say: told of progress and missing peers.

    Raises UserError where a worker fails.
    """
    with ExitStack() as stack:
        workers = {name: stack.enter_context(closing(Worker(name))) for name in (OURS, *peers)}
        versions = {name: worker.version for name, worker in workers.items() if worker.version and name != OURS}
        for name in peers:
            if name not in versions:
                say(f"{name} is not installed: left out")
        found: list[Measurement] = []
        for n_inputs in effort.inputs:
            for work in works:
                say(f"{work.model}, {n_inputs} inputs")
                side_by_side = contenders(replace(work, n_inputs=n_inputs), effort.populations, tuple(versions))
                found += _side_by_side(side_by_side, workers, effort)
    return found, versions


def _side_by_side(group: Sequence[Contender], workers: dict[str, Worker], effort: Effort) -> list[Measurement]:
    def advance(contender: Contender) -> float:
        key = str(group.index(contender))
        return float(workers[contender.process].ask(do="advance", key=key, steps=effort.steps)["seconds"])

    for number, contender in enumerate(group):
        workers[contender.process].ask(
            do="make",
            key=str(number),
            library=contender.library,
            work=asdict(contender.work),
            pictures=effort.pictures,
            total_steps=effort.steps * (effort.rounds + 1),
        )
        advance(contender)  # compiles and warms up
    times = round_robin(group, effort.rounds, advance)
    for name in {contender.process for contender in group}:
        workers[name].ask(do="forget")
    return [
        Measurement(c.library, c.work.model, c.work.n_inputs, c.work.members, effort.steps, tuple(seconds))
        for c, seconds in zip(group, times, strict=True)
    ]
