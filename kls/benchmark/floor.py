"""The floor under the time of a training step: its matrix products alone, by the same BLAS.

Each layer (m inputs, n units) has a forward product (B, m)(m, n), a weight gradient (m, B)(B, n) and,
but for the first, an input gradient (B, n)(n, m). The first layer's weight gradient is added to an array
that is there, which costs BLAS less than a fresh one and needs no update afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kls.benchmark.task import BATCH_SIZE, Task
from kls.config.blas import add_product


@dataclass(frozen=True)
class Product:
    """A product (rows, inner)(inner, columns) of layer 0, 1, ... that each of K members makes."""

    kind: str  # forward | weight gradient | input gradient
    layer: int
    rows: int
    inner: int
    columns: int

    @property
    def flops(self) -> int:
        """Multiplications and additions of one member."""
        return 2 * self.rows * self.inner * self.columns


def products(widths: Sequence[int], batch_size: int = BATCH_SIZE) -> list[Product]:
    """The products of one training step, in the order in which they are made; widths from inputs to classes."""
    layers = list(enumerate(pairwise(widths)))
    found = [Product("forward", layer, batch_size, m, n) for layer, (m, n) in layers]
    for layer, (m, n) in reversed(layers):
        found.append(Product("weight gradient", layer, m, batch_size, n))
        if layer:
            found.append(Product("input gradient", layer, batch_size, n, m))
    return found


class FloorLoop:
    """The products of every step, for all members, on arrays laid out as BLAS likes them best."""

    def __init__(self, task: Task) -> None:
        rng, k = np.random.default_rng(0), task.work.members
        x = rng.standard_normal((BATCH_SIZE, task.work.n_inputs), dtype=np.float32)
        calls = [_call(product, k, x, rng) for product in products(task.architecture.widths)]
        self._calls: list[Callable[[], object]] = calls

    def advance(self, steps: int) -> None:
        """Make the products of so many steps."""
        for _ in range(steps):
            for call in self._calls:
                call()


def _call(p: Product, k: int, x: np.ndarray, rng: np.random.Generator) -> Callable[[], object]:
    """Makes the product for K members. The first layer's is one for all: their weights stand side by side."""

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    if p.layer == 0 and p.kind == "forward":
        w, wide = drawn(p.inner, k * p.columns), drawn(p.rows, k * p.columns)
        return lambda: np.dot(x, w, out=wide)
    if p.layer == 0:
        delta = drawn(p.inner, k * p.columns) * np.float32(1e-6)  # else the sum would grow without end
        total = drawn(p.rows, k * p.columns)
        return lambda: add_product(x, delta, total)
    a, b, out = drawn(k, p.rows, p.inner), drawn(k, p.inner, p.columns), drawn(k, p.rows, p.columns)
    if p.kind == "weight gradient":
        a = np.ascontiguousarray(a.transpose(0, 2, 1)).transpose(0, 2, 1)  # it comes as (B, m)
    if p.kind == "input gradient":
        b = np.ascontiguousarray(b.transpose(0, 2, 1)).transpose(0, 2, 1)  # it comes as (m, n)
    return lambda: np.matmul(a, b, out=out)
