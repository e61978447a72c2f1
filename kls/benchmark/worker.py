"""A process in which one library trains on command: a JSON line in, a JSON line out.

    python -m kls.benchmark.worker LIBRARY CORE

It first says {"version": ...}, or {"missing": why} where the library cannot be imported, and then answers
    {"do": "make", "key", "library", "work", "pictures", "total_steps"}   {}
    {"do": "advance", "key", "steps"}                                    {"seconds": of these steps}
    {"do": "forget"}                                                     {}
or {"error": why}. It runs on one core where the system lets it choose.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import lru_cache
from typing import Any, Protocol

from kls.benchmark.cases import FLOOR, JAX, SKLEARN, TORCH, Work


class Loop(Protocol):
    """A training loop of some library."""

    def advance(self, steps: int) -> None: ...


def loop_class(library: str) -> tuple[Any, str]:
    """The library's loop, made from a Task, and its version. Raises ImportError where it is not installed."""
    if library == TORCH:
        from kls.benchmark import torch_loop

        return torch_loop.TorchLoop, torch_loop.VERSION
    if library == JAX:
        from kls.benchmark import jax_loop

        return jax_loop.JaxLoop, jax_loop.VERSION
    if library == SKLEARN:
        from kls.benchmark import sklearn_loop

        return sklearn_loop.SklearnLoop, sklearn_loop.VERSION
    import kls
    from kls.benchmark.floor import FloorLoop
    from kls.benchmark.own import OwnLoop

    return (FloorLoop if library == FLOOR else OwnLoop), kls.__version__


@lru_cache(maxsize=1)
def _data(pictures: int, n_inputs: int) -> tuple[Any, Any]:
    from kls.benchmark.task import made_up

    return made_up(pictures, n_inputs)


def _answer(command: dict[str, Any], loops: dict[str, Loop]) -> dict[str, Any]:
    if command["do"] == "forget":
        loops.clear()
    elif command["do"] == "make":
        from kls.benchmark.task import Task

        work = Work(**command["work"] | {"hidden": tuple(command["work"]["hidden"])})
        task = Task(work, *_data(command["pictures"], work.n_inputs), command["total_steps"])
        loops[command["key"]] = loop_class(command["library"])[0](task)
    else:
        start = time.perf_counter()
        loops[command["key"]].advance(command["steps"])
        return {"seconds": time.perf_counter() - start}
    return {}


def main() -> None:
    """Answer until stdin ends. What a library prints goes to stderr."""
    library, core = sys.argv[1], int(sys.argv[2])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        say({"version": loop_class(library)[1]})
    except ImportError as error:
        say({"missing": str(error)})
        return
    loops: dict[str, Loop] = {}
    for line in sys.stdin:
        try:
            say(_answer(json.loads(line), loops))
        except Exception as error:
            say({"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"})


if __name__ == "__main__":
    main()
