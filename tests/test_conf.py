"""Every file of conf/ composes to valid settings with the values that its name promises."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pytest
from entry_points import composed

from kls.config.hydra_entry import project_root
from kls.config.settings import GradcheckSettings
from kls.config.validation import validate, validate_group
from kls.errors import UserError

CONF = project_root() / "conf"
MODELS: dict[str, tuple[list[int], bool, str]] = {
    "3layer": ([50, 50], False, "xavier"),
    "3layer_bn": ([50, 50], True, "he"),
    "7layer_bn": ([60, 50, 40, 30, 20, 10], True, "he"),
    "7layer_wide_bn": ([256, 128, 64, 48, 32, 16], True, "he"),
    "7layer_wider_bn": ([512, 256, 128, 64, 32, 16], True, "he"),
    "9layer": ([50, 30, 20, 20, 10, 10, 10, 10], False, "xavier"),
    "9layer_bn": ([50, 30, 20, 20, 10, 10, 10, 10], True, "he"),
}
CYCLIC = {
    "kind": "cyclic", "eta_min": 1e-5, "eta_max": 0.1, "n_s": 2250, "eta_max_factor": 1.0,
    "cycles": 2, "epochs": None, "steps": None,
}  # fmt: skip
CONSTANT = {"kind": "constant", "eta": 0.01, "epochs": 20, "steps": None}
SGD = {"kind": "sgd", "momentum": 0.0}
ADAM = {"kind": "adam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd_cyclic": SGD | {"schedule": CYCLIC},
    "sgd_constant": SGD | {"schedule": CONSTANT},
    "sgd_step": SGD
    | {"schedule": {"kind": "step", "eta": 0.05, "factor": 0.5, "every": 2250, "epochs": 20, "steps": None}},
    "adam_cyclic": ADAM | {"schedule": CYCLIC | {"eta_max": 1e-3}},
    "adam_constant": ADAM | {"schedule": CONSTANT | {"eta": 1e-3}},
}
DATA = ("synthetic", "cifar10", "cifar100", "mnist", "fashion_mnist", "svhn", "arrays")


def files(group: str) -> list[str]:
    """The choices of a group."""
    return sorted(path.stem for path in (CONF / group).glob("[!_]*.yaml"))


@pytest.mark.parametrize(("group", "expected"), [("model", MODELS), ("optimizer", OPTIMIZERS), ("data", DATA)])
def test_every_file_of_conf_is_tested_here(group: str, expected: Collection[str]) -> None:
    assert set(files(group)) == set(expected)


@pytest.mark.parametrize("name", MODELS)
def test_models(name: str) -> None:
    model = validate(composed(f"model={name}")).model
    assert (model.hidden, model.bn.enabled, model.init.scheme) == MODELS[name]
    assert (model.bn.placement, model.bn.momentum, model.bn.epsilon) == ("before", 0.9, 1e-12)
    assert (model.bn.statistics, model.bn.precise_batches) == ("ema", 10)
    assert (model.init.sigma, model.dropout, model.label_smoothing) == (None, 0.0, 0.0)
    assert model.dropout_rates == (0.0,) * len(model.hidden)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name: str) -> None:
    optimizer = validate(composed(f"optimizer={name}")).optimizer.model_dump()
    assert optimizer | OPTIMIZERS[name] == optimizer


@pytest.mark.parametrize("name", files("optimizer/schedule"))
def test_schedules(name: str) -> None:
    settings = validate(composed(f"optimizer/schedule={name}"))
    rates = settings.optimizer.schedule.rates(np.arange(settings.n_steps))
    assert (settings.optimizer.schedule.kind, rates.shape, rates.dtype) == (name, (settings.n_steps,), np.float64)
    assert np.isfinite(rates).all()
    assert rates.min() >= 0


@pytest.mark.parametrize("name", DATA)
def test_data_sets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLS_DATA", "/somewhere/else")
    no_change = {"flip": 0.0, "translate": 0.0, "reach": 0}
    path = "/mine.npz" if name == "arrays" else None
    own = [] if path is None else [f"data.path={path}"]
    assert validate(composed(f"data={name}", *own)).data.model_dump() == {
        "source": name, "path": path, "target": None, "test_share": 0.2,
        "root": "/somewhere/else", "download": True, "seed": 0, "split_seed": 0,
        "n_train": None, "n_val": None if own else 5000, "n_test": None,
        "augmentation": no_change, "test_augmentation": no_change | {"share": 0.0},
        "projection": None, "whitening": None,
    }  # fmt: skip


def test_data_root_without_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KLS_DATA", raising=False)
    assert validate(composed()).data.root == "~/.cache/kls"


def test_defaults_of_a_run() -> None:
    settings = validate(composed("seed=7"))
    assert settings.model.hidden == MODELS["3layer_bn"][0]
    assert settings.optimizer == validate(composed("optimizer=sgd_cyclic")).optimizer
    assert settings.data.source == "synthetic"
    assert (settings.seed, settings.order_seed, settings.lam) == (7, 7, 0.005)
    assert (settings.batch_size, settings.dtype) == (100, "float32")
    assert settings.evaluation.model_dump() == {"every_steps": None, "n_train": 5000, "test": True}
    assert settings.pruning.model_dump() == {
        "rule": None, "at": "cycle", "n_startup": 5, "n_warmup": 0, "min_resource": 1, "reduction_factor": 2,
    }  # fmt: skip
    assert settings.ensemble.model_dump() == {"snapshots": 0, "reach": None}
    assert (settings.name, settings.resume, settings.threads) == (None, None, 1)


def test_gradient_check_settings() -> None:
    config = composed(config_name="gradcheck")
    options = validate_group(GradcheckSettings, config.pop("gradcheck"), "gradcheck")
    assert options.model_dump() == {"pictures": 5, "dimensions": 30, "eps": 1e-3, "tolerance": 1e-6}
    assert validate(config).name == "gradcheck"
    with pytest.raises(UserError, match=r"^gradcheck\.pictures=1: must be greater than or equal to 2$"):
        validate_group(GradcheckSettings, options.model_dump() | {"pictures": 1}, "gradcheck")
