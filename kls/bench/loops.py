"""Training loops of every library at the same task: network, pictures, first weights, mini-batches, learning rates.

Each is made from a task, x (n, n_inputs) float32 and labels (n,) int64, as a function that makes training steps, and
what it trains. The function is given the steps' mini-batches, (steps, BATCH_SIZE) rows of x, and rates (steps,).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import pairwise
from typing import Any

import numpy as np

from kls.config.blas import add_product
from kls.core import cross_entropy
from kls.core.architecture import Architecture
from kls.core.batches import Batches
from kls.core.initialisation import initial_weights
from kls.core.population import Member, Population
from kls.core.sgd import SGD
from kls.core.streams import stream
from kls.errors import UserError

BATCH_SIZE, N_CLASSES = 100, 10
ETA_MIN, ETA_MAX, BN_MOMENTUM, BN_EPSILON = 1e-5, 1e-1, 0.9, 1e-12
Loop = tuple[Callable[[np.ndarray, np.ndarray], object], Any]


@dataclass(frozen=True)
class Task:
    """``members`` networks of one shape that share their mini-batches: one cycle of ``steps`` steps of SGD with L2."""

    model: str
    hidden: tuple[int, ...]
    bn: bool
    n_inputs: int = 3072
    members: int = 1
    steps: int = 0
    lam: float = 0.005

    @cached_property
    def architecture(self) -> Architecture:
        bn = "before" if self.bn else None
        return Architecture(self.n_inputs, self.hidden, N_CLASSES, self.n_inputs, bn, BN_EPSILON)

    @cached_property
    def rates(self) -> np.ndarray:
        """Learning rate of every step, (steps,) float64."""
        half = max(1, self.steps // 2)
        return np.interp(np.arange(self.steps), [0, half, 2 * half], [ETA_MIN, ETA_MAX, ETA_MIN])

    def weights(self, member: int = 0) -> list[np.ndarray]:
        """First weights of a member: one (rows, columns) float32 array a layer."""
        shape, rng = self.architecture, stream(member, "init")
        return [w.astype(np.float32) for w in initial_weights(rng, shape.fans, shape.widths, "he", None)]


def pictures(n: int, n_inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Standardised random inputs (n, n_inputs) float32, and labels (n,) that a linear map of them gives."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, n_inputs), dtype=np.float32)
    return x, np.argmax(x @ rng.standard_normal((n_inputs, N_CLASSES), dtype=np.float32), axis=1)


def batches(n: int, start: int, steps: int) -> np.ndarray:
    """Which of n pictures are in the mini-batches of ``steps`` steps from ``start``: (steps, BATCH_SIZE) int64."""
    places = (divmod(step, n // BATCH_SIZE) for step in range(start, start + steps))
    return np.array([_order(n, epoch)[place * BATCH_SIZE :][:BATCH_SIZE] for epoch, place in places], np.int64)


@lru_cache(maxsize=1)
def _order(n: int, epoch: int) -> np.ndarray:
    return stream(0, "order", epoch).permutation(n)


def ours(task: Task, x: np.ndarray, labels: np.ndarray) -> Loop:
    """All members in one population, as the trainer makes it, with its own gathering; member k starts from seed k."""
    members = [Member(k, task.lam, task.rates, bn_momentum=BN_MOMENTUM) for k in range(task.members)]
    feed = Batches(x, cross_entropy.targets(labels, N_CLASSES, 0.0, x.dtype), BATCH_SIZE, order_seed=0)
    population = Population(task.architecture, members, partial(SGD, add_product=add_product), feed)

    def train(rows: np.ndarray, rates: np.ndarray) -> None:
        if population.advance(population.step + len(rates)):
            raise UserError("a network of the benchmark diverged, which leaves less to do")

    return train, population


def floor(task: Task, *_: np.ndarray) -> Loop:
    """The matrix products of every step for all members, by the same BLAS, on arrays laid out as it likes them best.

    A layer of m inputs and n units has a forward product (B, m)(m, n), a weight gradient (m, B)(B, n) and, but for
    the first, an input gradient (B, n)(n, m). The first layer's weights stand side by side, so that its products are
    one for all members; its weight gradient is added to an array that is there, which costs BLAS less.
    """
    rng, k, b = np.random.default_rng(0), task.members, BATCH_SIZE

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    (d, n_first), *layers = pairwise(task.architecture.widths)
    pairs = [(draw(k, b, m), draw(k, m, n)) for m, n in layers]
    for m, n in reversed(layers):
        pairs.append((draw(k, b, m).swapaxes(1, 2), draw(k, b, n)))
        pairs.append((draw(k, b, n), draw(k, m, n).swapaxes(1, 2)))
    x, w, total = draw(b, d), draw(d, k * n_first), draw(d, k * n_first)
    delta = draw(b, k * n_first) * np.float32(1e-6)  # or the sum grows without end
    products = [partial(np.matmul, left, right, out=left @ right) for left, right in pairs]
    step = [partial(np.dot, x, w, out=x @ w), *products, partial(add_product, x, delta, total)]
    return lambda rows, rates: [product() for _ in rates for product in step], None


def torch(task: Task, x: np.ndarray, labels: np.ndarray) -> Loop:
    """One network, eager, one thread, as quick as plain code gets: mini-batches are gathered by index_select, gradients
    dropped instead of zeroed, SGD is the fused one (the fastest of its three), and L2 is weight_decay = 2 lam."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    layers: list[Any] = []
    for w in task.weights():
        if layers:
            layers += [nn.BatchNorm1d(len(w), BN_EPSILON, 1.0 - BN_MOMENTUM), nn.ReLU()][not task.bn :]
        layers.append(nn.Linear(*w.shape, bias=not task.bn or len(layers) == 3 * len(task.hidden)))
        for name, values in layers[-1].named_parameters():
            values.data = torch.tensor(w.T) if name == "weight" else torch.zeros_like(values)
    network = nn.Sequential(*layers)
    weights, others = ([p for p in network.parameters() if p.dim() == axes] for axes in (2, 1))
    groups = [{"params": weights, "weight_decay": 2.0 * task.lam}, {"params": others}]
    optimizer = torch.optim.SGD(groups, lr=0.0, fused=True)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(labels)

    def train(rows: np.ndarray, rates: np.ndarray) -> None:
        network.train()
        for chosen, eta in zip(torch.from_numpy(rows), rates.tolist(), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = eta
            optimizer.zero_grad(set_to_none=True)
            logits = network(inputs.index_select(0, chosen))
            nn.functional.cross_entropy(logits, targets.index_select(0, chosen)).backward()
            optimizer.step()

    return train, network


def jax(task: Task, x: np.ndarray, labels: np.ndarray) -> Loop:
    """One jitted lax.scan over the steps, vmapped over the members, if there are several: it gathers the mini-batches,
    which the members share, and updates the parameters in place. Compiles at the first call of each number of steps."""
    import jax
    import jax.numpy as jnp

    def first(member: int) -> Any:
        """Parameters, of which b is beta under batch norm, and the running moments."""
        layers = [{"W": w, "b": np.zeros_like(w[0]), "gamma": np.ones_like(w[0])} for w in task.weights(member)]
        return layers, [(layer["b"], layer["gamma"]) for layer in (layers[:-1] if task.bn else [])]

    def loss(layers: Any, x: Any, labels: Any) -> Any:
        moments = []
        for layer in layers[:-1]:
            x = x @ layer["W"]
            if task.bn:
                moments.append((x.mean(axis=0), x.var(axis=0)))
                x = (x - moments[-1][0]) * (layer["gamma"] * jax.lax.rsqrt(moments[-1][1] + BN_EPSILON))
            x = jax.nn.relu(x + layer["b"])
        log_p = jax.nn.log_softmax(x @ layers[-1]["W"] + layers[-1]["b"])
        return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean(), jax.lax.stop_gradient(moments)

    def update(state: Any, x: Any, labels: Any, eta: Any) -> Any:
        gradients, moments = jax.grad(loss, has_aux=True)(state[0], x, labels)
        decayed = [layer | {"W": (1.0 - 2.0 * eta * task.lam) * layer["W"]} for layer in state[0]]
        trained = jax.tree.map(lambda value, gradient: value - eta * gradient, decayed, gradients)
        return trained, jax.tree.map(lambda r, m: BN_MOMENTUM * r + (1.0 - BN_MOMENTUM) * m, state[1], moments)

    def scan(state: Any, x: Any, labels: Any, rows: Any, rates: Any) -> Any:
        def step(state: Any, now: Any) -> Any:
            batch = (jnp.take(array, now[0], axis=0, mode="clip") for array in (x, labels))  # bounds are not checked
            return updates(state, *batch, now[1]), None

        return jax.lax.scan(step, state, (rows, rates))[0]

    def train(rows: np.ndarray, rates: np.ndarray) -> None:
        state[:] = jax.block_until_ready(scanned(tuple(state), inputs, targets, rows, rates.astype(np.float32)))

    alone, firsts = task.members == 1, [first(member) for member in range(task.members)]
    updates: Any = update if alone else jax.vmap(update, in_axes=(0, None, None, None))
    scanned, inputs, targets = jax.jit(scan, donate_argnums=0), jnp.asarray(x), jnp.asarray(labels)
    state = list(jax.tree.map(lambda *leaves: jnp.array(leaves[0] if alone else leaves), *firsts))
    return train, state
