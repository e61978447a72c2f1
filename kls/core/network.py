"""A population of fully connected networks: forward pass, gradients and evaluation.

Hidden layer l, with BN before the activation:  A_l = relu(BN(A_{l-1} W_l))
with BN after:                                  A_l = BN(relu(A_{l-1} W_l + b_l))
without:                                        A_l = relu(A_{l-1} W_l + b_l)
each followed, in training, by dropout. Last layer: logits = A W + b.

Every array that a training step needs is allocated once, for mini-batches of one size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kls.core import affine, cross_entropy, dropout
from kls.core.architecture import Architecture
from kls.core.batch_norm import BatchNorm
from kls.core.batch_statistics import RecentAverage, RunningAverage
from kls.core.layer_arrays import LayerArrays
from kls.core.parameter import Block, Parameter


class Network:
    """K networks of one architecture, with buffers for mini-batches of ``batch_size`` pictures.

    weights: for each member, one (rows, columns) array a layer; they are copied.
    bn_momentum: each member's momentum of the running statistics, shape (K,).
    ``defers``: leave the first layer's gradient as the factors of its block, for an optimizer that takes them.
    """

    def __init__(
        self,
        architecture: Architecture,
        weights: Sequence[Sequence[np.ndarray]],
        bn_momentum: np.ndarray,
        batch_size: int,
    ) -> None:
        self.architecture = architecture
        self.batch_size = batch_size
        self.defers = False
        k, dtype = len(weights), architecture.dtype
        self.weights: list[Parameter] = []
        self.biases: list[Parameter | None] = []
        self.norms: list[BatchNorm | None] = []
        for layer, width in enumerate(architecture.widths[1:]):
            axis = 1 if layer == 0 else 0
            stacked = np.stack([member[layer] for member in weights], axis=axis).astype(dtype)
            self.weights.append(Parameter(f"W{layer + 1}", stacked, axis, penalised=True))
            has_bias = architecture.has_bias(layer)
            self.biases.append(Parameter(f"b{layer + 1}", np.zeros((k, width), dtype), 0) if has_bias else None)
        for layer, width in enumerate(architecture.hidden):
            self.norms.append(self._norm(layer, (k, width), bn_momentum) if architecture.bn else None)
        small = [p for p in self.parameters if p.member_axis == 0]
        self.blocks = [Block("W1", self.weights[:1]), *([Block("rest", small)] if small else [])]
        self._allocate()

    def _norm(self, layer: int, shape: tuple[int, int], momentum: np.ndarray) -> BatchNorm:
        a = self.architecture
        statistics: RunningAverage | RecentAverage | None = None  # adaptive
        if a.bn_statistics == "ema":
            statistics = RunningAverage(shape, momentum, a.dtype)
        elif a.bn_statistics == "precise":
            statistics = RecentAverage(shape, a.precise_batches, a.dtype)
        gamma = Parameter(f"gamma{layer + 1}", np.ones(shape, a.dtype), 0)
        beta = Parameter(f"beta{layer + 1}", np.zeros(shape, a.dtype), 0)
        return BatchNorm(gamma, beta, a.bn_epsilon, statistics, self.batch_size)

    def _allocate(self) -> None:
        """Make the arrays of a training step anew, after the parameters were made or lost members."""
        a, b, k = self.architecture, self.batch_size, self.n_members
        rates = a.dropout or (0.0,) * len(a.hidden)
        self._layers: list[LayerArrays] = []
        for layer, (w, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            last = layer == len(a.hidden)
            rate = 0.0 if last else rates[layer]
            self._layers.append(LayerArrays(w, bias, b, last, has_mask=rate > 0.0))
        self._row_sum = np.empty((k, b), a.dtype).T
        for norm in self.norms:
            if norm is not None:
                norm.allocate()

    @property
    def n_members(self) -> int:
        return self.weights[0].value.shape[1]

    @property
    def parameters(self) -> list[Parameter]:
        """All trained arrays: W, b, gamma and beta of each layer in turn."""
        found: list[Parameter] = []
        for layer, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            found += [w] if b is None else [w, b]
            norm = self.norms[layer] if layer < len(self.norms) else None
            found += [] if norm is None else [norm.gamma, norm.beta]
        return found

    def gradients(self, x: np.ndarray, q: np.ndarray, dropout_rngs: Sequence[np.random.Generator]) -> np.ndarray | None:
        """Set every parameter's gradient of the loss (without the L2 term) on one mini-batch.

        x (B, d); q (B, C) target distributions; dropout_rngs: one generator a member, read only where
        a layer has dropout. Returns None, or, where some member's loss is not finite, which: bool (K,).
        """
        self._forward_batch(x, dropout_rngs)
        finite = cross_entropy.gradient(self._layers[-1].outputs, q, self._row_sum)
        self._backward(x)
        return None if finite else np.asarray(~np.isfinite(self._row_sum).all(axis=0))

    def observe(self, x: np.ndarray, dropout_rngs: Sequence[np.random.Generator]) -> None:
        """Let BN see one training mini-batch x (B, d): its kept statistics move, the parameters do not."""
        self._forward_batch(x, dropout_rngs)

    def _forward_batch(self, x: np.ndarray, dropout_rngs: Sequence[np.random.Generator]) -> None:
        for layer, here in enumerate(self._layers):
            if layer == 0:
                affine.forward_first(x, here.w, here.output)
            else:
                affine.forward(self._layers[layer - 1].by_member, here.w, here.by_member)
            if here.b is not None:
                np.add(here.outputs, here.b, here.outputs)
            if layer < len(self.norms):
                self._activate(layer, here, dropout_rngs)

    def _activate(self, layer: int, here: LayerArrays, dropout_rngs: Sequence[np.random.Generator]) -> None:
        norm, out = self.norms[layer], here.output
        if norm is not None and self.architecture.bn == "before":
            norm.forward_batch(out, out)
        np.maximum(out, here.zeros, out=out)
        np.greater(out, here.zeros, here.active)
        if norm is not None and self.architecture.bn == "after":
            norm.forward_batch(out, out)
        if here.mask is not None and here.masks is not None:
            dropout.draw_masks(dropout_rngs, self.architecture.dropout[layer], here.masks)
            np.multiply(out, here.mask, out)

    def _backward(self, x: np.ndarray) -> None:
        for layer in reversed(range(len(self._layers))):
            here = self._layers[layer]
            if layer < len(self.norms):
                self._deactivate(layer, here)
            if here.b_gradient is not None:
                np.add.reduce(here.deltas, axis=0, out=here.b_gradient)
            if layer == 0 and self.defers:
                self.blocks[0].factors = x, here.delta
            elif layer == 0:
                affine.weight_gradient_first(x, here.delta, here.w_gradient)
            else:
                below = self._layers[layer - 1]
                affine.weight_gradient(below.by_member, here.delta_by_member, here.w_gradient)
                affine.input_gradient(here.delta_by_member, here.w, below.delta_by_member)

    def _deactivate(self, layer: int, here: LayerArrays) -> None:
        """Turn the gradient with respect to a hidden layer's output into that of its product, in place."""
        norm, delta = self.norms[layer], here.delta
        if here.mask is not None:
            np.multiply(delta, here.mask, delta)
        if norm is not None and self.architecture.bn == "after":
            norm.backward(delta)
        np.multiply(delta, here.active, delta)
        if norm is not None and self.architecture.bn == "before":
            norm.backward(delta)

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Evaluation: logits (N, K, C) of x (N, d). Nothing of the network changes and nothing is drawn.

        With adaptive statistics, batch norm uses those of x, so x must be the whole set.
        """
        inputs = x
        for layer, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            out = np.empty((len(x), self.n_members, w.value.shape[2]), self.architecture.dtype)
            if layer == 0:
                affine.forward_first(x, w.value.reshape(len(w.value), -1), out.reshape(len(x), -1))
            else:
                affine.forward(inputs.transpose(1, 0, 2), w.value, out.transpose(1, 0, 2))
            if b is not None:
                out += b.value
            norm = self.norms[layer] if layer < len(self.norms) else None
            if norm is not None and self.architecture.bn == "before":
                norm.evaluate(out)
            if layer < len(self.norms):
                np.maximum(out, 0.0, out=out)
            if norm is not None and self.architecture.bn == "after":
                norm.evaluate(out)
            inputs = out
        return inputs

    def penalty(self, lam: np.ndarray) -> np.ndarray:
        """The L2 term lam * sum of squared weights of each member, shape (K,), float64."""
        return lam * sum(p.sum_of_squares() for p in self.parameters if p.penalised)

    def keep(self, members: np.ndarray) -> None:
        """Drop every member but those with the given indices."""
        for parameter in self.parameters:
            parameter.keep(members)
        for block in self.blocks:
            block.pack()
        for norm in self.norms:
            if norm is not None:
                norm.keep(members)
        self._allocate()

    def member_state(self, k: int) -> dict[str, np.ndarray]:
        """Copies of member k's parameters and kept BN statistics, without the member axis."""
        state = {p.name: p.member(k).copy() for p in self.parameters}
        for layer, norm in enumerate(self.norms):
            if norm is not None and norm.statistics is not None:
                kept = norm.statistics.state(k)
                state |= {f"bn{layer + 1}.{name}": np.array(value) for name, value in kept.items()}
        return state

    def load_parameters(self, k: int, state: dict[str, np.ndarray]) -> None:
        """Set member k's parameters, but no BN statistics, from what ``member_state`` gave."""
        for parameter in self.parameters:
            parameter.member(k)[...] = state[parameter.name]

    def load_member(self, k: int, state: dict[str, np.ndarray]) -> None:
        """Set member k from what ``member_state`` gave. Raises KeyError for an array that is not there."""
        self.load_parameters(k, state)
        for layer, norm in enumerate(self.norms):
            if norm is not None and norm.statistics is not None:
                prefix = f"bn{layer + 1}."
                norm.statistics.load_state(
                    k, {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
                )
