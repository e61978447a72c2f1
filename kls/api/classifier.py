"""The networks of this project as a scikit-learn classifier."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kls.api.fitting import fit_networks, layer_of
from kls.api.parameters import Parameters, checked_parameters
from kls.config import build
from kls.core.evaluation import probabilities
from kls.data.dataset import Split
from kls.data.preparation import Preparation

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as missing:
    raise ImportError(f"kls.KLayerClassifier needs scikit-learn: pip install 'kls[sklearn]' ({missing})") from None


class KLayerClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # of a package without types
    """A K-layer fully connected network on standardised inputs, trained by NumPy in mini-batches.

    Parameters
    ----------
    hidden : sequence of int, default=(50, 50)
        Units of each hidden layer; empty for a linear classifier.
    bn : bool, "before" or "after", default=True
        Batch norm of each hidden layer, before (True) or after its activation.
    lam : float, optional
        L2 factor: cost = cross-entropy + lam * sum of squared weights; by default 0.2, and 250 / n for more than 1,250
        examples.
    epochs : int, default=100
        Passes through the examples.
    batch_size : int, default=100
        Most examples of a mini-batch; the mini-batches of an epoch are equally large.
    optimizer : "sgd" or "adam", default="sgd"
    eta : float, optional
        Learning rate, the highest of a cycle; by default 0.3 with SGD, 0.1 without batch norm, and 0.01 with Adam.
    cycles : int, optional, default=1
        Triangular cycles that the learning rate goes through; None for a constant rate.
    dropout, label_smoothing : float, default=0.0
    init : "he", "xavier" or float, default="he"
        Standard deviation of the initial weights, by a scheme or as a number.
    bn_momentum : float, default=0.9
        Of the running statistics of batch norm.
    bn_statistics : "ema", "precise" or "adaptive", default="ema"
        What batch norm predicts with: running averages, true averages over the last mini-batches, or the
        statistics of all examples that are predicted at once.
    validation_fraction : float, default=0.0
        Stratified share of the examples that is held out, for `history_` alone.
    evaluations : int, default=10
        Rows of `history_`, equally far apart.
    dtype : "float32" or "float64", default="float32"
        Type that the network is trained in; predictions are computed in float64.
    threads : int, default=1
        BLAS threads of the training.
    warm_start : bool, default=False
        Whether `fit` begins with the fitted layers whose shapes agree, and with their standardisation.
    order_seed : int, optional
        Seed of the order of the mini-batches and of what is held out; by default that of the initial weights.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights and of dropout.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (d,)
        Where the examples had names of features that are all texts.
    parameters_ : dict of ndarray
        ``W1`` (d, m), ``b1``, ``gamma1``, ``beta1``, ..., and the statistics of batch norm.
    preparation_ : Preparation
        Mean and standard deviation of the inputs.
    history_ : dict of list
        epoch, train_loss and train_accuracy, and val_loss and val_accuracy with a share held out.
    seed_ : int
        Drawn from random_state.
    diverged_at_ : int or None
        The step at which the loss was no longer finite; then all classes are equally probable.
    """

    classes_: NDArray[Any]
    n_features_in_: int
    parameters_: dict[str, NDArray[Any]]
    preparation_: Preparation
    history_: dict[str, list[float]]
    seed_: int
    diverged_at_: int | None

    def __init__(
        self,
        hidden: Sequence[int] = (50, 50),
        *,
        bn: bool | str = True,
        lam: float | None = None,
        epochs: int = 100,
        batch_size: int = 100,
        optimizer: str = "sgd",
        eta: float | None = None,
        cycles: int | None = 1,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        init: str | float = "he",
        bn_momentum: float = 0.9,
        bn_statistics: str = "ema",
        validation_fraction: float = 0.0,
        evaluations: int = 10,
        dtype: str = "float32",
        threads: int = 1,
        warm_start: bool = False,
        order_seed: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.hidden = hidden
        self.bn = bn
        self.lam = lam
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.eta = eta
        self.cycles = cycles
        self.dropout = dropout
        self.label_smoothing = label_smoothing
        self.init = init
        self.bn_momentum = bn_momentum
        self.bn_statistics = bn_statistics
        self.validation_fraction = validation_fraction
        self.evaluations = evaluations
        self.dtype = dtype
        self.threads = threads
        self.warm_start = warm_start
        self.order_seed = order_seed
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> KLayerClassifier:  # noqa: N803
        """Train on examples X (n, d) with labels y (n,) of any type. Raises ValueError for what cannot be used."""
        goes_on = self.warm_start and getattr(self, "diverged_at_", 0) is None
        fit_together([self], X, y, vars(self).copy() if goes_on else None)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Softmax outputs, (n, C), for examples X (n, d), in the order of `classes_`."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype="numeric", reset=False)
        parameters = self._checked().model_copy(update={"dtype": "float64"})
        architecture = parameters.architecture(self.n_features_in_, len(self.classes_))
        network = build.blank_network(architecture, [parameters.bn_momentum], 1)
        network.load_member(0, self.parameters_)
        return probabilities(network, replace(self.preparation_, dtype=architecture.dtype).apply(x))[:, 0]

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """The most probable of `classes_`, (n,), for examples X (n, d)."""
        best = np.argmax(self.predict_proba(X), axis=1)
        return self.classes_[best]

    def _checked(self) -> Parameters:
        return checked_parameters({name: value for name, value in self.get_params().items() if name != "random_state"})


def fit_together(
    classifiers: Sequence[KLayerClassifier],
    X: ArrayLike,  # noqa: N803
    y: ArrayLike,
    before: Mapping[str, Any] | None = None,
) -> None:
    """Fit classifiers on the same examples and mini-batches; what their networks share must be the same in all.

    before: attributes of a fit that a single one goes on from.
    """
    first, members = classifiers[0], [classifier._checked() for classifier in classifiers]
    shared, before = members[0], before or {}
    x, y = validate_data(first, X, y, dtype="numeric", ensure_min_samples=2)
    check_classification_targets(y)
    classes, labels = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError("y has 1 class: a classifier needs at least 2")
    seeds = [check_random_state(one.random_state).randint(np.iinfo(np.int32).max) for one in classifiers]
    order_seed = seeds[0] if shared.order_seed is None else shared.order_seed
    parts: list[Any] = [slice(None)]
    if shared.validation_fraction:
        share, state = shared.validation_fraction, order_seed % 2**32
        parts = train_test_split(np.arange(len(x)), test_size=share, stratify=labels, random_state=state)
    preparation = Preparation.of(x[parts[0]], shared.dtype)
    if before.get("n_features_in_") == x.shape[1]:
        preparation = replace(before["preparation_"], dtype=preparation.dtype)
    examples = [Split(preparation.apply(x[rows]), labels[rows]) for rows in parts]
    starts = [_start(before, classes)] if before else []
    named = dict(zip(("train", "val"), examples, strict=False))
    fitted = fit_networks(members, seeds, order_seed, named, len(classes), starts)
    for classifier, seed, result in zip(classifiers, seeds, fitted, strict=True):
        if classifier is not first:
            validate_data(classifier, X, skip_check_array=True)  # which notes the features
        classifier.classes_, classifier.preparation_, classifier.seed_ = classes, preparation, seed
        classifier.parameters_, classifier.history_ = result.arrays, result.history
        classifier.diverged_at_ = result.diverged_at
        if result.diverged_at is not None:
            text = f"the loss was no longer finite at step {result.diverged_at}; a lower eta may help"
            warnings.warn(text, ConvergenceWarning, stacklevel=3)


def _start(before: Mapping[str, Any], classes: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The arrays of a fit that another goes on from; without the last layer, where the classes are others."""
    arrays: dict[str, NDArray[Any]] = before["parameters_"]
    if np.array_equal(before["classes_"], classes):
        return arrays
    last = max(map(layer_of, arrays))
    return {name: array for name, array in arrays.items() if layer_of(name) != last}
