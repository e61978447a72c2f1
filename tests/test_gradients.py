"""Gradients of random networks against torch's automatic differentiation, in float64."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import pytest
from helpers import FLOAT64, Array, State, gradient_errors, random_network, relative_error

from kls.core import affine, cross_entropy, dropout
from kls.core.architecture import Architecture
from kls.core.network import Network
from kls.core.streams import stream

torch = pytest.importorskip("torch")
functional = torch.nn.functional
torch.set_num_threads(1)

TOLERANCE = 1e-10


@dataclass
class Case:
    """A random network with one mini-batch and the generators of its dropout masks."""

    architecture: Architecture
    network: Network
    x: Array
    labels: Array
    rngs: list[np.random.Generator]


def random_case(number: int) -> Case:
    """Depth, widths, batch, members and regularisation drawn from the number of the case.

    Every depth 1 to 9 and every BN placement comes up. One or two pictures, or one unit, make a batch
    norm with a tiny epsilon ill-conditioned, so a small layer or batch gets a larger epsilon.
    """
    rng = np.random.default_rng([41, number])
    depth = number % 9 + 1
    bn = (None, "before", "after")[number // 3 % 3]
    hidden = tuple(int(m) for m in rng.integers(1, 65, depth - 1))
    batch = int(rng.choice([1 if bn is None else 2, rng.integers(3, 20), rng.integers(20, 128), 128]))
    small = batch < 20 or min(hidden, default=64) < 8
    architecture = Architecture(
        n_inputs=int(rng.integers(1, 65)),
        hidden=hidden,
        n_classes=int(rng.integers(2, 65)),
        fan_in=1,
        bn=bn,
        bn_epsilon=float(rng.choice([1e-3, 1e-2] if small else [1e-12, 1e-5])),
        dropout=tuple(float(r) for r in rng.choice([0.0, 0.2, 0.5], depth - 1)) if number % 4 == 1 else (),
        label_smoothing=0.1 if number % 5 == 2 else 0.0,
        dtype=FLOAT64,
    )
    members = int(rng.integers(1, 4))
    network = random_network(architecture, members, batch, rng)
    x = rng.standard_normal((batch, architecture.n_inputs))
    labels = rng.integers(0, architecture.n_classes, batch)
    return Case(architecture, network, x, labels, [stream(number + k, "dropout") for k in range(members)])


def masks_of(case: Case, rng: np.random.Generator) -> list[Array | None]:
    """One member's masks of each hidden layer, drawn for it alone."""
    masks: list[Array | None] = []
    rates = case.architecture.dropout or (0.0,) * len(case.architecture.hidden)
    for width, rate in zip(case.architecture.hidden, rates, strict=True):
        mask = np.empty((len(case.x), 1, width)) if rate else None
        if mask is not None:
            dropout.draw_masks([rng], rate, mask)
        masks.append(None if mask is None else mask[:, 0])
    return masks


def torch_gradients(case: Case, state: State, masks: list[Array | None]) -> State:
    """Gradients of one member's loss by torch."""
    p = {name: torch.tensor(value, requires_grad=True) for name, value in state.items() if "." not in name}
    architecture = case.architecture

    def norm(layer: int, z: torch.Tensor) -> torch.Tensor:
        weight, bias = p[f"gamma{layer}"], p[f"beta{layer}"]
        return functional.batch_norm(z, None, None, weight, bias, training=True, eps=architecture.bn_epsilon)

    a = torch.tensor(case.x)
    for layer, mask in enumerate(masks, start=1):
        z = functional.linear(a, p[f"W{layer}"].T, p.get(f"b{layer}"))
        z = norm(layer, z) if architecture.bn == "before" else z
        a = functional.relu(z)
        a = norm(layer, a) if architecture.bn == "after" else a
        a = a if mask is None else a * torch.tensor(mask)
    last = len(masks) + 1
    logits = functional.linear(a, p[f"W{last}"].T, p[f"b{last}"])
    labels = torch.tensor(case.labels)
    functional.cross_entropy(logits, labels, label_smoothing=architecture.label_smoothing).backward()
    return {name: value.grad.numpy() for name, value in p.items()}


@pytest.mark.parametrize("number", range(40))
def test_gradients_of_a_random_network_equal_those_of_torch(number: int) -> None:
    case = random_case(number)
    q = cross_entropy.targets(
        case.labels, case.architecture.n_classes, case.architecture.label_smoothing, np.dtype(np.float64)
    )
    equal_rngs = copy.deepcopy(case.rngs)
    assert case.network.gradients(case.x, q, case.rngs) is None
    for k, rng in enumerate(equal_rngs):
        expected = torch_gradients(case, case.network.member_state(k), masks_of(case, rng))
        got = {p.name: np.moveaxis(p.gradient, p.member_axis, 0)[k] for p in case.network.parameters}
        assert {name: e for name, e in gradient_errors(got, expected).items() if not e < TOLERANCE} == {}, k


def test_random_cases_cover_what_they_should() -> None:
    cases = [random_case(number) for number in range(40)]
    combinations = {(len(c.architecture.hidden) + 1, c.architecture.bn) for c in cases}
    assert {depth for depth, _ in combinations} == set(range(1, 10))
    assert {bn for depth, bn in combinations if depth > 1} == {None, "before", "after"}
    assert {c.network.n_members for c in cases} == {1, 2, 3}
    assert {1, 2, 128} <= {len(c.x) for c in cases}
    assert {1, 64} <= {m for c in cases for m in (c.architecture.n_inputs, *c.architecture.widths[1:])}
    assert any(c.architecture.bn_epsilon == 1e-12 and c.architecture.bn and c.architecture.hidden for c in cases)
    assert sum(any(c.architecture.dropout) for c in cases) >= 5
    assert sum(c.architecture.label_smoothing > 0.0 for c in cases) >= 5


@pytest.mark.parametrize(("batch", "k", "m", "n"), [(1, 1, 1, 1), (7, 3, 5, 2), (128, 2, 64, 33)])
def test_affine_gradients_for_a_random_upstream_gradient(batch: int, k: int, m: int, n: int) -> None:
    rng = np.random.default_rng(batch)
    a, w, delta = (rng.standard_normal(shape) for shape in [(k, batch, m), (k, m, n), (k, batch, n)])
    ta, tw = torch.tensor(a, requires_grad=True), torch.tensor(w, requires_grad=True)
    z = torch.stack([ta[i] @ tw[i] for i in range(k)])
    z.backward(torch.tensor(delta))

    out, da = (np.empty((batch, k, width)).transpose(1, 0, 2) for width in (n, m))  # as the network keeps them
    dw = np.empty((k, m, n))
    affine.forward(a, w, out)
    affine.weight_gradient(a, delta, dw)
    affine.input_gradient(delta, w, da)
    assert relative_error(out, z.detach().numpy()) < 1e-14
    assert relative_error(dw, tw.grad.numpy()) < 1e-14
    assert relative_error(da, ta.grad.numpy()) < 1e-14


@pytest.mark.parametrize(("batch", "d", "k", "m"), [(1, 1, 1, 1), (7, 5, 3, 2), (128, 64, 2, 33)])
def test_first_affine_gradients_for_a_random_upstream_gradient(batch: int, d: int, k: int, m: int) -> None:
    rng = np.random.default_rng(batch)
    x, w, delta = (rng.standard_normal(shape) for shape in [(batch, d), (d, k, m), (batch, k, m)])
    tw = torch.tensor(w, requires_grad=True)
    z = torch.stack([torch.tensor(x) @ tw[:, i] for i in range(k)], dim=1)
    z.backward(torch.tensor(delta))

    out, dw = np.empty((batch, k, m)), np.empty((d, k, m))
    affine.forward_first(x, w.reshape(d, -1), out.reshape(batch, -1))
    affine.weight_gradient_first(x, delta.reshape(batch, -1), dw.reshape(d, -1))
    assert relative_error(out, z.detach().numpy()) < 1e-14
    assert relative_error(dw, tw.grad.numpy()) < 1e-14
