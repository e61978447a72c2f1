"""Analytic against numerical gradients of a network that settings describe, as a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kls.config import build
from kls.config.settings import GradcheckSettings, Settings
from kls.core import cross_entropy
from kls.core.gradient_check import CostFrom, numerical_gradients
from kls.core.initialisation import initial_weights
from kls.core.network import Network
from kls.core.streams import stream
from kls.errors import UserError


@dataclass(frozen=True)
class GradientPair:
    """Analytic and numerical gradient of one parameter, arrays of its shape; NaN where on a kink."""

    analytic: np.ndarray
    numeric: np.ndarray

    def errors(self, eps: float) -> np.ndarray:
        """|ga - gn| / max(eps, |ga| + |gn|) of every entry."""
        scale = np.maximum(eps, np.abs(self.analytic) + np.abs(self.numeric))
        return np.abs(self.analytic - self.numeric) / scale


def check(settings: Settings, options: GradcheckSettings) -> dict[str, GradientPair]:
    """Both gradients of every parameter on a few reduced training pictures, float64, by parameter name.

    Weights are the run's initial ones; biases, gamma and beta are drawn, so that none is special.
    Raises UserError where the data set has fewer pictures or dimensions.
    """
    settings = settings.model_copy(update={"dtype": "float64"})
    data = build.data_set(settings)
    n, d = len(data.train.x), data.train.x.shape[1]
    if options.pictures > n or options.dimensions > d:
        asked = f"{options.pictures} pictures of {options.dimensions} dimensions"
        raise UserError(f"gradcheck: asked for {asked}, but the data set has {n} of {d}")
    dimensions = np.linspace(0, d - 1, options.dimensions).round().astype(np.intp)
    x = np.ascontiguousarray(data.train.x[: options.pictures][:, dimensions])
    q = cross_entropy.targets(
        data.train.y[: options.pictures], len(data.class_names), settings.model.label_smoothing, np.dtype(np.float64)
    )
    shape = replace(
        build.architecture(settings, data.inputs), n_inputs=options.dimensions, fan_in=options.dimensions, dropout=()
    )
    init = settings.model.init
    weights = initial_weights(stream(settings.seed, "init"), shape.fans, shape.widths, init.scheme, init.sigma)
    network = Network(shape, [weights], np.array([settings.model.bn.momentum]), options.pictures)
    rng = stream(settings.seed, "gradient check")
    for parameter in network.parameters:
        if not parameter.penalised:
            centre = 1.0 if parameter.name.startswith("gamma") else 0.0
            parameter.value[...] = centre + 0.1 * rng.standard_normal(parameter.value.shape)
    network.gradients(x, q, [])
    values = {p.name: p.member(0).copy() for p in network.parameters}
    analytic = {
        p.name: p.gradient.reshape(p.member(0).shape) + (2.0 * settings.lam * p.member(0) if p.penalised else 0.0)
        for p in network.parameters
    }
    cost = CostFrom(values, len(shape.hidden) + 1, shape.bn, shape.bn_epsilon, x, q)
    numeric = numerical_gradients(cost, settings.lam)
    return {name: GradientPair(analytic[name], numeric[name]) for name in values}


def table(pairs: dict[str, GradientPair], eps: float) -> list[dict[str, Any]]:
    """A row a parameter: sizes, largest and mean relative error, sums of both gradients and of the errors."""
    rows = []
    for name, pair in pairs.items():
        errors = pair.errors(eps)
        rows.append(
            {
                "parameter": name,
                "shape": "x".join(map(str, errors.shape)),
                "largest_error": float(np.nanmax(errors)),
                "mean_error": float(np.nanmean(errors)),
                "sum_analytic": float(pair.analytic.sum()),
                "sum_numeric": float(np.nansum(pair.numeric)),
                "sum_of_errors": float(np.nansum(errors)),
                "on_a_kink": int(np.isnan(errors).sum()),
            }
        )
    return rows
