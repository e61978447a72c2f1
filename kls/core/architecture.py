"""What a population's members share: the shape of the network and the kinds of its parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True)
class Architecture:
    """A K-layer fully connected classifier.

    n_inputs: input dimensions d.             hidden: units of each hidden layer.
    fan_in: fan_in that sets the first layer's initial weights (d, unless inputs are projected).
    bn: None, or batch norm "before" or "after" the activation of each hidden layer.
    bn_epsilon: added to the variance under the square root.
    bn_statistics: "ema", "precise" or "adaptive"; precise_batches: mini-batches in a precise window.
    dropout: rate of each hidden layer.       label_smoothing: s of the smoothed targets.
    """

    n_inputs: int
    hidden: tuple[int, ...]
    n_classes: int
    fan_in: int
    bn: str | None = None
    bn_epsilon: float = 1e-12
    bn_statistics: str = "ema"
    precise_batches: int = 10
    dropout: tuple[float, ...] = ()
    label_smoothing: float = 0.0
    dtype: np.dtype = FLOAT32

    @property
    def widths(self) -> tuple[int, ...]:
        """Dimensions from the inputs to the classes."""
        return (self.n_inputs, *self.hidden, self.n_classes)

    @property
    def fans(self) -> tuple[int, ...]:
        """fan_in of each layer's initial weights."""
        return (self.fan_in, *self.hidden)

    def has_bias(self, layer: int) -> bool:
        """Whether layer 0, 1, ... has a bias: not under a batch norm, which would subtract it again."""
        return layer == len(self.hidden) or self.bn != "before"

    @property
    def n_parameters(self) -> int:
        """Trained numbers of one member."""
        weights = sum(m * n for m, n in zip(self.widths[:-1], self.widths[1:], strict=True))
        biases = sum(n for layer, n in enumerate(self.widths[1:]) if self.has_bias(layer))
        return weights + biases + (2 * sum(self.hidden) if self.bn else 0)
