"""kls.KLayerClassifier and kls.fit_population: scikit-learn's checks, and what the networks are."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from entry_points import Array
from helpers import plain_forward
from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from kls import KLayerClassifier, fit_population

X, Y = make_classification(230, 12, n_informative=8, n_redundant=0, n_classes=3, n_clusters_per_class=1, random_state=1)
SMALL: dict[str, Any] = {"hidden": (12, 8), "epochs": 6, "batch_size": 40, "optimizer": "adam", "lam": 1e-3,
    "random_state": 3, "dtype": "float64"}  # fmt: skip

CHECKS = """
import warnings
from collections import Counter
from sklearn.utils.estimator_checks import check_estimator
from kls import KLayerClassifier
warnings.simplefilter("ignore")  # of what a check is about
for parameters in ({}, {"bn": False, "optimizer": "adam", "validation_fraction": 0.2, "evaluations": 3}):
    found = check_estimator(KLayerClassifier(epochs=30, **parameters), on_skip=None, on_fail="raise")
    print(dict(Counter(check["status"] for check in found)))
"""


def small(**changes: Any) -> KLayerClassifier:
    return KLayerClassifier(**SMALL | changes)


def test_all_checks_of_scikit_learn_pass_and_none_is_skipped() -> None:
    """One of them needs this variable before SciPy is loaded."""
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    command = [sys.executable, "-c", CHECKS]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = [re.fullmatch(r"\{'passed': (\d+)\}", line) for line in ended.stdout.splitlines()]
    assert len(lines) == 2
    assert all(line and int(line[1]) > 40 for line in lines)


def test_it_learns_small_tables_by_its_defaults() -> None:
    assert cross_val_score(KLayerClassifier(random_state=0), *load_iris(return_X_y=True)).mean() > 0.93
    assert cross_val_score(KLayerClassifier(random_state=0), X, Y).mean() > 0.8


def test_pipelines_and_grid_searches() -> None:
    pipeline = make_pipeline(MinMaxScaler(), small())
    grid = {"klayerclassifier__lam": np.logspace(-4, 0, 2), "klayerclassifier__hidden": [(8,), (4, 4)]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, Y)
    assert search.best_params_["klayerclassifier__lam"] == 1e-4
    assert search.score(X, Y) > 0.6


def test_predictions_are_a_forward_pass_of_the_parameters() -> None:
    fitted = small().fit(X, Y)
    architecture = fitted._checked().architecture(12, 3)
    x = (X - X.mean(axis=0)) / X.std(axis=0)
    logits, _ = plain_forward(architecture, fitted.parameters_, x, kept=True)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-9)
    assert set(fitted.parameters_) == {
        *(f"{name}{layer}" for name in ("W", "gamma", "beta") for layer in (1, 2)), "W3", "b3",
        *(f"bn{layer}.{name}" for name in ("mean", "variance", "started") for layer in (1, 2)),
    }  # fmt: skip


def test_labels_of_any_type_and_names_of_features() -> None:
    texts = np.array(["b", "c", "a"])[Y]
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(12)])
    fitted = small().fit(frame, texts)
    assert fitted.classes_.tolist() == ["a", "b", "c"]
    assert list(fitted.feature_names_in_) == list(frame.columns)
    assert set(fitted.predict(frame)) == {"a", "b", "c"}
    assert fitted.score(frame, texts) > 0.6
    numbers = small().fit(X, np.array([5, 7, -1])[Y])
    same = np.searchsorted(["a", "b", "c"], fitted.predict(frame))
    assert np.array_equal(numbers.predict(X), np.array([-1, 5, 7])[same])


def test_pictures_of_bytes_stay_bytes_until_they_are_standardised() -> None:
    x = np.random.default_rng(0).integers(0, 256, (120, 20), dtype=np.uint8)
    y = x[:, 0] > 127
    fitted = small(epochs=60).fit(x, y)
    np.testing.assert_allclose(fitted.preparation_.mean, x.mean(axis=0))
    assert fitted.score(x, y) > 0.9
    assert fitted.predict(x).dtype == bool


def test_the_same_seeds_give_the_same_bits_and_others_do_not() -> None:
    a, b = small().fit(X, Y), small().fit(X, Y)
    assert all(np.array_equal(a.parameters_[name], b.parameters_[name]) for name in a.parameters_)
    assert not np.array_equal(small(random_state=4).fit(X, Y).predict_proba(X), a.predict_proba(X))
    assert not np.array_equal(small(order_seed=4).fit(X, Y).predict_proba(X), a.predict_proba(X))
    assert small(random_state=np.random.RandomState(3)).fit(X, Y).seed_ == a.seed_
    again = pickle.loads(pickle.dumps(a))
    assert np.array_equal(again.predict_proba(X), a.predict_proba(X))


@pytest.mark.parametrize(
    ("n", "batch_size", "bn", "batches"),
    [(230, 100, True, 3), (200, 100, True, 2), (30, 100, True, 1), (5, 2, True, 2), (5, 1, False, 5), (3, 1, True, 1)],
)
def test_mini_batches_are_equal_and_at_most_as_large_as_asked(n: int, batch_size: int, bn: bool, batches: int) -> None:
    parameters = small(batch_size=batch_size, bn=bn)._checked()
    assert parameters.n_batches(n) == batches


def test_the_penalty_falls_with_the_number_of_examples() -> None:
    usual = KLayerClassifier()._checked()
    assert [usual.member(0, 1, n).lam for n in (10, 1250, 5000, 50_000)] == [0.2, 0.2, 0.05, 0.005]
    assert small(lam=0.3)._checked().member(0, 1, 10**6).lam == 0.3


def test_history() -> None:
    fitted = small(validation_fraction=0.25, evaluations=3, epochs=60).fit(X, Y)
    history = pd.DataFrame(fitted.history_)
    assert list(history) == ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    assert history["epoch"].tolist() == [20.0, 40.0, 60.0]
    assert history["train_loss"].is_monotonic_decreasing
    assert 0.6 < history["val_accuracy"].iloc[-1] <= 1.0
    assert (history["val_accuracy"] * 58).round(6).mod(1).eq(0).all()  # of 230 examples
    assert small(evaluations=0).fit(X, Y).history_ == {}
    assert list(small().fit(X, Y).history_) == ["epoch", "train_loss", "train_accuracy"]


def test_warm_start_goes_on_where_shapes_agree() -> None:
    whole = small(warm_start=True, epochs=30)
    first = whole.fit(X, Y).parameters_
    whole.set_params(epochs=1, eta=1e-9).fit(X, Y)
    for name, array in whole.parameters_.items():
        if not name.startswith("bn"):
            np.testing.assert_allclose(array, first[name], atol=1e-7)
    whole.fit(X, Y + 1)
    np.testing.assert_allclose(whole.parameters_["W2"], first["W2"], atol=1e-7)
    assert np.abs(whole.parameters_["W3"] - first["W3"]).max() > 0.1
    whole.set_params(hidden=(12, 9)).fit(X, Y + 1)
    np.testing.assert_allclose(whole.parameters_["W1"], first["W1"], atol=1e-7)
    assert whole.parameters_["W2"].shape == (12, 9)
    shifted = whole.fit(X + 100, Y + 1)
    np.testing.assert_allclose(shifted.preparation_.mean, X.mean(axis=0))
    fresh = whole.fit(X[:, :5], Y + 1)
    np.testing.assert_allclose(fresh.preparation_.mean, X[:, :5].mean(axis=0))


def test_a_network_that_diverges_guesses_and_warns() -> None:
    wild = small(bn=False, optimizer="sgd", eta=1e9, warm_start=True)
    with pytest.warns(ConvergenceWarning, match=r"^the loss was no longer finite at step \d+; a lower eta may help$"):
        wild.fit(X, Y)
    assert wild.diverged_at_ is not None
    assert np.array_equal(wild.predict_proba(X), np.full((230, 3), 1 / 3))
    calm = wild.set_params(eta=0.1, epochs=60).fit(X, Y)
    assert calm.diverged_at_ is None
    assert calm.score(X, Y) > 0.6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lam": -1}, "^lam=-1: must be greater than or equal to 0$"),
        ({"hidden": (5, 0)}, r"^hidden\[1\]=0: must be greater than or equal to 1$"),
        ({"hidden": 5}, "^hidden=5: must be a valid list$"),
        ({"bn": "under"}, "^bn=under: must be True, False, 'before' or 'after'$"),
        ({"epochs": 2.5}, "^epochs=2.5: must be a valid integer$"),
        ({"dropout": 1.0, "lam": np.nan}, "lam=nan: must be a finite number\ndropout=1.0: must be less than 1"),
        ({"order_seed": -1}, "^order_seed=-1: must be greater than or equal to 0$"),
        ({"validation_fraction": 0.001}, "test_size = 1 should be greater"),
    ],
)
def test_parameters_that_are_not_valid(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**changes).fit(X, Y)


def test_numpy_numbers_are_parameters() -> None:
    given = small(hidden=np.array([12, 8]), lam=np.float64(1e-3), epochs=np.int64(6), init=np.float32(0.5))
    plain = small(hidden=[12, 8], lam=1e-3, epochs=6, init=0.5)
    assert np.array_equal(given.fit(X, Y).predict_proba(X), plain.fit(X, Y).predict_proba(X))


def test_unfitted() -> None:
    with pytest.raises(NotFittedError):
        small().predict(X)


OWN: dict[str, list[Any]] = {
    "lam": [0.0, 1e-3, 1e-1],
    "random_state": [5, 6, 7],
    "init": ["he", "xavier", 0.3],
    "bn_momentum": [0.9, 0.5, 0.8],
    "eta": [1e-2, 5e-3, None],
    "cycles": [1, None, 2],
}


@pytest.mark.parametrize("shared", [{}, {"bn": "after", "dropout": 0.3, "validation_fraction": 0.2}, {"bn": False}])
def test_a_population_equals_its_members_alone(shared: dict[str, Any]) -> None:
    together = fit_population(X, Y, **SMALL | shared | OWN)
    order_seed = together[0].seed_
    for i, member in enumerate(together):
        own = {name: values[i] for name, values in OWN.items()}
        alone = small(**shared, **own, order_seed=order_seed).fit(X, Y)
        np.testing.assert_allclose(member.predict_proba(X), alone.predict_proba(X), rtol=0, atol=1e-10)
        assert member.get_params() == alone.get_params() | {"order_seed": order_seed}
        assert member.seed_ == alone.seed_
        for name, column in alone.history_.items():
            np.testing.assert_allclose(member.history_[name], column, atol=1e-10)
        again = clone(member).fit(X, Y)
        np.testing.assert_allclose(member.predict_proba(X), again.predict_proba(X), rtol=0, atol=1e-10)
    assert len({member.predict_proba(X).tobytes() for member in together}) == 3


def test_populations_of_one_and_of_a_list() -> None:
    (one,) = fit_population(X, Y, **SMALL)
    assert np.array_equal(one.predict_proba(X), small().fit(X, Y).predict_proba(X))
    lams: Array = np.logspace(-4, 0, 5)
    fitted = fit_population(pd.DataFrame(X, columns=list("abcdefghijkl")), Y, **SMALL | {"lam": lams})
    assert [member.lam for member in fitted] == lams.tolist()
    assert {tuple(member.feature_names_in_) for member in fitted} == {tuple("abcdefghijkl")}
    with pytest.raises(ValueError, match=r"^2 of lam, 3 of random_state: lists must have the same length, at least 1$"):
        fit_population(X, Y, lam=[1, 2], random_state=[1, 2, 3])
    with pytest.raises(ValueError, match=r"^0 of lam: lists must"):
        fit_population(X, Y, lam=[])
    with pytest.raises(TypeError, match="hiden"):
        fit_population(X, Y, hiden=[3])


def test_one_of_a_population_may_diverge() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wild, calm = fit_population(X, Y, **SMALL | {"bn": False, "optimizer": "sgd", "eta": [1e9, 0.1]})
    assert [str(warning.message)[:30] for warning in caught] == ["the loss was no longer finite "]
    assert wild.diverged_at_ is not None
    assert (calm.diverged_at_, len(calm.history_["epoch"])) == (None, 10)
    assert calm.score(X, Y) > 0.5
