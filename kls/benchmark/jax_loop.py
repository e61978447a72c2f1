"""A JAX training loop at the benchmark's task: one jitted lax.scan over the steps, vmapped over the members.

The compiled function holds the gathering of the mini-batches, the gradients and the updates; parameters are
donated, so that they are updated in place. The members of a population share their mini-batches, as ours do.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kls.benchmark.task import BN_EPSILON, BN_MOMENTUM, Task

VERSION = str(jax.__version__)
Tree = Any  # nested lists and dictionaries of arrays


class JaxLoop:
    """``work.members`` networks; alone, a network has no member axis."""

    def __init__(self, task: Task) -> None:
        self.task, self.step = task, 0
        self.x, self.labels = jnp.asarray(task.x), jnp.asarray(task.labels)
        members = [_parameters(task, k) for k in range(task.work.members)]
        self.alone = len(members) == 1
        self.state: Tree = members[0] if self.alone else jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
        self.lam = jnp.full(() if self.alone else len(members), task.lam, jnp.float32)
        update = partial(_update, task.work.bn)
        if not self.alone:
            update = jax.vmap(update, in_axes=(0, 0, None, None, None))

        def epoch(state: Tree, lam: Any, x: Any, labels: Any, rows: Any, rates: Any) -> Tree:
            def step(state: Tree, now: tuple[Any, Any]) -> tuple[Tree, None]:
                chosen, eta = now
                return update(state, lam, _gathered(x, chosen), _gathered(labels, chosen), eta), None

            return jax.lax.scan(step, state, (rows, rates))[0]

        self._advance = jax.jit(epoch, donate_argnums=0)

    def advance(self, steps: int) -> None:
        """Train for so many steps; compiles at the first call of each number of steps."""
        rows = jnp.asarray(self.task.rows(self.step, steps))
        rates = jnp.asarray(self.task.rates[self.step : self.step + steps], jnp.float32)
        self.state = self._advance(self.state, self.lam, self.x, self.labels, rows, rates)
        jax.block_until_ready(self.state)
        self.step += steps

    def weights(self, member: int = 0) -> list[np.ndarray]:
        """A member's weights, one (rows, columns) array a layer."""
        layers = self.state["trained"]
        return [np.array(layer["W"] if self.alone else layer["W"][member]) for layer in layers]


def _parameters(task: Task, member: int) -> Tree:
    weights = task.weights(member)
    trained, running = [], []
    for layer, w in enumerate(weights):
        units = w.shape[1]
        if task.work.bn and layer < len(weights) - 1:
            trained.append({"W": w, "gamma": np.ones(units, np.float32), "beta": np.zeros(units, np.float32)})
            running.append({"mean": np.zeros(units, np.float32), "variance": np.ones(units, np.float32)})
        else:
            trained.append({"W": w, "b": np.zeros(units, np.float32)})
    return jax.tree.map(jnp.asarray, {"trained": trained, "running": running})


def _gathered(array: Any, rows: Any) -> Any:
    return jnp.take(array, rows, axis=0, mode="clip")  # without a check of the bounds


def _update(bn: bool, state: Tree, lam: Any, x: Any, labels: Any, eta: Any) -> Tree:
    """One step of SGD with L2 of one network."""
    gradients, moments = jax.grad(_loss, argnums=0, has_aux=True)(state["trained"], bn, x, labels)
    decay = 1.0 - 2.0 * eta * lam
    trained = [
        {name: (decay if name == "W" else 1.0) * value - eta * gradient[name] for name, value in layer.items()}
        for layer, gradient in zip(state["trained"], gradients, strict=True)
    ]
    running = jax.tree.map(lambda r, m: BN_MOMENTUM * r + (1.0 - BN_MOMENTUM) * m, state["running"], moments)
    return {"trained": trained, "running": running}


def _loss(trained: Tree, bn: bool, x: Any, labels: Any) -> tuple[Any, Tree]:
    """Mean cross-entropy of a mini-batch, and the batch norms' moments."""
    moments = []
    a = x
    for layer in trained[:-1]:
        z = a @ layer["W"]
        if bn:
            mean, variance = z.mean(axis=0), z.var(axis=0)
            moments.append({"mean": mean, "variance": variance})
            z = (z - mean) * (layer["gamma"] * jax.lax.rsqrt(variance + BN_EPSILON)) + layer["beta"]
        else:
            z = z + layer["b"]
        a = jax.nn.relu(z)
    log_p = jax.nn.log_softmax(a @ trained[-1]["W"] + trained[-1]["b"])
    return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean(), jax.lax.stop_gradient(moments)
