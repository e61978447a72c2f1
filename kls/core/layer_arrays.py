"""The arrays of one layer in a training step, made once, and the views of them that its operations take.

The outputs of K members with n units on B pictures are needed as (B, K*n) by element-wise operations and the first
layer's products, as (K, B, n) by the products of later layers, and as (B, K, n) by the rest. All are views of one
array, made here so that no step has to.
"""

from __future__ import annotations

import numpy as np

from kls.core.parameter import Parameter


class LayerArrays:
    """Buffers for mini-batches of ``batch_size`` pictures.

    outputs, deltas: (B, K, n), activations and gradients with respect to them; the last layer's are one array.
    output, delta: the same as (B, K*n).            by_member, delta_by_member: the same as (K, B, n).
    w, w_gradient: (d, K*n) in the first layer, then (K, m, n).     b, b_gradient: (K, n), or None.
    zeros, active, mask: of a hidden layer, (B, K*n): 0, whether a unit is above it, dropout's factors (None
    without); masks: the same as (B, K, n).

    The last layer of several keeps its outputs as (K, n, B), for the softmax, whose sums over n are then sums of
    long rows; it has no output, delta.
    """

    def __init__(self, w: Parameter, b: Parameter | None, batch_size: int, last: bool, has_mask: bool) -> None:
        first, dtype = w.member_axis == 1, w.value.dtype
        k, n = w.value.shape[w.member_axis], w.value.shape[2]
        self.w, self.w_gradient = w.value, w.gradient
        if first:
            self.w, self.w_gradient = (a.reshape(len(a), k * n) for a in (w.value, w.gradient))
        self.b = None if b is None else b.value
        self.b_gradient = None if b is None else b.gradient
        if last and not first:
            self.outputs = np.empty((k, n, batch_size), dtype).transpose(2, 0, 1)
        else:
            self.outputs = np.empty((batch_size, k, n), dtype)
            self.output = self.outputs.reshape(batch_size, k * n)
        self.deltas = self.outputs if last else np.empty((batch_size, k, n), dtype)
        self.by_member, self.delta_by_member = (a.transpose(1, 0, 2) for a in (self.outputs, self.deltas))
        if first or not last:
            self.delta = self.deltas.reshape(batch_size, k * n)
        if not last:
            self.zeros = np.zeros((batch_size, k * n), dtype)
            self.active = np.empty((batch_size, k * n), bool)
            self.masks = np.empty((batch_size, k, n), dtype) if has_mask else None
            self.mask = None if self.masks is None else self.masks.reshape(batch_size, k * n)
