"""How long a population would take to train, from a few of its steps and one evaluation."""

from __future__ import annotations

import time

import numpy as np
from threadpoolctl import threadpool_limits

from kls import build
from kls.core.evaluation import evaluate
from kls.core.population import Population
from kls.settings import Settings

STEPS = 40


def estimated_seconds(settings: Settings, members: int) -> float:
    """Seconds that ``members`` networks of these settings, trained together in one process, would take.

    Raises UserError where the data are not there: nothing is fetched.
    """
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"download": False})})
    with threadpool_limits(settings.threads):
        data = build.data_set(settings)
        feed = build.batches(settings, data)
        n_steps = build.n_steps(settings, feed.steps_per_epoch)
        population = Population(
            build.architecture(settings, data),
            [build.member(settings, n_steps)] * members,
            build.optimizer_maker(settings),
            feed,
        )
        step = _seconds(lambda: population.advance(population.step + min(STEPS, n_steps))) / min(STEPS, n_steps)
        if not population.ids:  # diverged; a guess from the steps until then is all there is
            return step * n_steps
        n = min(len(data.val.x), 1000)
        picture = _seconds(lambda: evaluate(population.network, data.val.x[:n], data.val.y[:n], population.lam)) / n
        evaluated = len(data.val.x) + min(settings.evaluation.n_train, len(data.train.x))
        rows = n_steps // (settings.evaluation.every_steps or feed.steps_per_epoch) + 1
        final = len(data.train.x) + len(data.val.x) + settings.evaluation.test * len(data.test.x)
        return step * n_steps + picture * (rows * evaluated + final)


def _seconds(work: object) -> float:
    assert callable(work)
    with np.errstate(all="ignore"):
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
