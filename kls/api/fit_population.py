"""Many classifiers trained at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kls.api.classifier import KLayerClassifier, fit_together

OWN = ("lam", "eta", "cycles", "init", "bn_momentum", "random_state")  # what a network of a population has for itself


def fit_population(x: ArrayLike, y: ArrayLike, **parameters: Any) -> list[KLayerClassifier]:
    """Train many classifiers at once, as one population; each equals what it gives alone, up to rounding.

    Parameters
    ----------
    x : array-like of shape (n, d)
    y : array-like of shape (n,)
    **parameters
        Of `kls.KLayerClassifier`. lam, eta, cycles, init, bn_momentum and random_state may be lists, all of one
        length: the first classifier has the first of each, and so on. All share the order of the mini-batches,
        order_seed, by default that of the first.

    Returns
    -------
    list of KLayerClassifier
        Fitted, in the order of the lists.

    Examples
    --------
    >>> lams = np.logspace(-5, -1, 9)
    >>> best = max(kls.fit_population(x, y, lam=lams), key=lambda fitted: fitted.score(x_val, y_val))
    """
    given = {name: parameters[name] for name in OWN if isinstance(parameters.get(name), list | tuple | np.ndarray)}
    lists = {name: list(values) for name, values in given.items()}
    lengths = {len(values) for values in lists.values()}
    if len(lengths) > 1 or lengths == {0}:
        sizes = ", ".join(f"{len(values)} of {name}" for name, values in lists.items())
        raise ValueError(f"{sizes}: lists must have the same length, at least 1")
    classifiers = [
        KLayerClassifier(**{**parameters, **{name: values[i] for name, values in lists.items()}})
        for i in range(max(lengths, default=1))
    ]
    fit_together(classifiers, x, y)
    for classifier in classifiers:  # so that each fitted anew gives the same
        if classifier.order_seed is None:
            classifier.order_seed = classifiers[0].seed_
    return classifiers
