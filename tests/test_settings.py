"""Settings: what is refused and in which words, and what may change on resume."""

from __future__ import annotations

import copy
import functools
import math
from typing import Any

import pytest
import yaml
from entry_points import composed

from kls.config.flat_settings import EXECUTION, differences, flatten, shown
from kls.config.folder_names import is_folder_name
from kls.config.setting_ranges import setting_range
from kls.config.settings import Settings
from kls.config.validation import validate
from kls.errors import UserError

RULES = [
    ("seed=9223372036854775808", "seed=9223372036854775808: must be less than or equal to 9223372036854775807"),
    ("lam=true", "lam=true: must be a valid number"),
    ("lam=.inf", "lam=inf: must be a finite number"),
    ("batch_size=10000000", "batch_size=10000000 must not be above the 45000 training pictures"),
    ("threads=100000000000000000000", "threads=100000000000000000000: must be less than or equal to 1024"),
    ("model.bn.precise_batches=200000", "model.bn.precise_batches=200000: must be less than or equal to 100000"),
    ("model.hidden=[1000000000]", "model.hidden[0]=1000000000: must be less than or equal to 1000000"),
    ("checkpoint_seconds=2000000000", "checkpoint_seconds=2000000000: must be less than or equal to 1000000000"),
    (
        "optimizer.schedule.n_s=1000000000",
        "optimizer.schedule: 4000000000 steps in all are more than 100000000",
    ),
    (
        "optimizer=sgd_constant optimizer.schedule.epochs=1000000",
        "optimizer.schedule: 450000000 steps in all are more than 100000000",
    ),
    (
        "optimizer.schedule.cycles=10000000000",
        "optimizer.schedule.cycles=10000000000: must be less than or equal to 1000000000",
    ),
    ("ensemble.snapshots=2000", "ensemble.snapshots=2000: must be less than or equal to 1000"),
    (
        "ensemble.snapshots=3",
        "ensemble.snapshots=3: must be at most the 2 whole cycles, of 4500 steps each, "
        "that a training of 9000 steps has",
    ),
    ("data.n_test=10001", "data: n_test=10001 needs more pictures than the 10000 of the test part"),
    ("data.n_val=50000", "data: n_val=50000 leaves none of the 50000 training pictures"),
    ("data.n_train=45001", "data: n_train=45001 and n_val=5000 need 50001 pictures; there are 50000"),
    ("data.root=", "data.root=null: must be a valid string"),
    ("seed=-1", "seed=-1: must be greater than or equal to 0"),
    ("order_seed=1.5", "order_seed=1.5: must be a valid integer"),
    ("lam=-0.001", "lam=-0.001: must be greater than or equal to 0"),
    ("lam=abc", "lam=abc: must be a valid number"),
    ("lam=.nan", "lam=nan: must be a finite number"),
    ("lam=null", "lam=null: must be a valid number"),
    ("batch_size=0", "batch_size=0: must be greater than or equal to 1"),
    ("batch_size=1", "batch_size=1 leaves batch norm no variance: give at least 2, or model.bn.enabled=false"),
    ("dtype=float16", "dtype=float16: must be 'float32' or 'float64'"),
    ("threads=0", "threads=0: must be greater than or equal to 1"),
    ("checkpoint_seconds=-1", "checkpoint_seconds=-1: must be greater than or equal to 0"),
    ("plots=1", "plots=1: must be a valid boolean"),
    ("name=2020", "name=2020: must be a valid string"),
    ("name=../x", "name=../x: must be a folder name under outputs/, such as my_study or studies/first"),
    ("evaluation.every_steps=0", "evaluation.every_steps=0: must be greater than or equal to 1"),
    ("evaluation.n_train=0", "evaluation.n_train=0: must be greater than or equal to 1"),
    ("model.hidden=50", "model.hidden=50: must be a valid list"),
    ("model.hidden=[50,0]", "model.hidden[1]=0: must be greater than or equal to 1"),
    ("model.hidden=[50,1.5]", "model.hidden[1]=1.5: must be a valid integer"),
    ("model.bn.placement=middle", "model.bn.placement=middle: must be 'before' or 'after'"),
    ("model.bn.momentum=1", "model.bn.momentum=1: must be less than 1"),
    ("model.bn.epsilon=0", "model.bn.epsilon=0: must be greater than 0"),
    ("model.bn.statistics=mean", "model.bn.statistics=mean: must be 'ema', 'precise' or 'adaptive'"),
    ("model.bn.precise_batches=0", "model.bn.precise_batches=0: must be greater than or equal to 1"),
    ("model.init.scheme=lecun", "model.init.scheme=lecun: must be 'he' or 'xavier'"),
    ("model.init.sigma=0", "model.init.sigma=0: must be greater than 0"),
    ("model.dropout=1", "model.dropout=1: must be less than 1"),
    ("model.dropout=some", "model.dropout=some: must be a valid number"),
    ("model.dropout=[0.1]", "model: dropout needs one rate a hidden layer (2), got 1"),
    ("model.dropout=[0.1,-0.2]", "model.dropout[1]=-0.2: must be greater than or equal to 0"),
    ("model.label_smoothing=1.0", "model.label_smoothing=1.0: must be less than 1"),
    ("optimizer.kind=adagrad", "optimizer.kind=adagrad: must be one of 'sgd', 'adam'"),
    ("optimizer.momentum=1", "optimizer.momentum=1: must be less than 1"),
    ("optimizer=adam_cyclic optimizer.beta1=1", "optimizer.beta1=1: must be less than 1"),
    ("optimizer=adam_cyclic optimizer.beta2=-1", "optimizer.beta2=-1: must be greater than or equal to 0"),
    ("optimizer=adam_cyclic optimizer.epsilon=0", "optimizer.epsilon=0: must be greater than 0"),
    ("optimizer.schedule.eta_min=-1", "optimizer.schedule.eta_min=-1: must be greater than or equal to 0"),
    ("optimizer.schedule.eta_max=0", "optimizer.schedule.eta_max=0: must be greater than 0"),
    ("optimizer.schedule.eta_min=0.2", "optimizer.schedule: eta_min=0.2 must not be above eta_max=0.1"),
    ("optimizer.schedule.n_s=0", "optimizer.schedule.n_s=0: must be greater than or equal to 1"),
    ("optimizer.schedule.eta_max_factor=1.1", "optimizer.schedule.eta_max_factor=1.1: must be less than or equal to 1"),
    ("optimizer.schedule.eta_max_factor=0", "optimizer.schedule.eta_max_factor=0: must be greater than 0"),
    ("optimizer.schedule.cycles=0", "optimizer.schedule.cycles=0: must be greater than or equal to 1"),
    (
        "optimizer.schedule.steps=30",
        "optimizer.schedule: give exactly one of cycles, epochs, steps and set the others to null, "
        "got cycles=2, epochs=null, steps=30",
    ),
    (
        "optimizer=sgd_constant optimizer.schedule.epochs=null",
        "optimizer.schedule: give exactly one of epochs, steps and set the others to null, got epochs=null, steps=null",
    ),
    ("optimizer=sgd_constant optimizer.schedule.eta=0", "optimizer.schedule.eta=0: must be greater than 0"),
    ("optimizer=sgd_step optimizer.schedule.factor=2", "optimizer.schedule.factor=2: must be less than or equal to 1"),
    ("optimizer=sgd_step optimizer.schedule.every=0", "optimizer.schedule.every=0: must be greater than or equal to 1"),
    (
        "data.source=imagenet",
        "data.source=imagenet: must be 'arrays', 'cifar10', 'cifar100', 'fashion_mnist', 'mnist', 'svhn' "
        "or 'synthetic'",
    ),
    ("data.n_train=0", "data.n_train=0: must be greater than or equal to 1"),
    ("data.n_val=0", "data.n_val=0: must be greater than or equal to 1"),
    ("data.n_train=99", "batch_size=100 must not be above data.n_train=99"),
    ("data.augmentation.flip=1.5", "data.augmentation.flip=1.5: must be less than or equal to 1"),
    ("data.augmentation.reach=32", "data.augmentation.reach=32: must be less than or equal to 31"),
    (
        "data.augmentation.translate=0.5",
        "data.augmentation: translate=0.5 and reach=0 must both be above 0, or both be 0",
    ),
    (
        "data.test_augmentation.reach=3",
        "data.test_augmentation: translate=0.0 and reach=3 must both be above 0, or both be 0",
    ),
    ("data.whitening=1", "data: whitening=1.0 needs axes: set projection, 1 to keep them all"),
    ("data.projection=0.9 data.whitening=0", "data.whitening=0: must be greater than 0"),
    ("data.projection=0", "data.projection=0: must be greater than 0"),
    ("data.projection=1.01", "data.projection=1.01: must be less than or equal to 1"),
    ("ensemble.snapshots=-1", "ensemble.snapshots=-1: must be greater than or equal to 0"),
    ("ensemble.reach=1", "ensemble: reach=1 needs snapshots of at least 1, the final network"),
    ("ensemble.snapshots=true", "ensemble.snapshots=true: must be a valid integer"),
    (
        "optimizer=sgd_step ensemble.snapshots=2",
        "ensemble.snapshots=2 needs a cyclic schedule, not step: a snapshot ends a cycle",
    ),
    ("pruning.rule=best", "pruning.rule=best: must be 'median' or 'halving'"),
    ("pruning.at=step", "pruning.at=step: must be 'cycle' or 'epoch'"),
    ("pruning.n_startup=-1", "pruning.n_startup=-1: must be greater than or equal to 0"),
    ("pruning.n_warmup=-1", "pruning.n_warmup=-1: must be greater than or equal to 0"),
    ("pruning.min_resource=0", "pruning.min_resource=0: must be greater than or equal to 1"),
    ("pruning.reduction_factor=1", "pruning.reduction_factor=1: must be greater than or equal to 2"),
    (
        "optimizer=adam_constant pruning.rule=median",
        "pruning.at=cycle needs a cyclic schedule, not constant: set pruning.at=epoch",
    ),
    ("max_failures=-1", "max_failures=-1: must be greater than or equal to 0"),
    ("data.test_augmentation.share=1.1", "data.test_augmentation.share=1.1: must be less than or equal to 1"),
]


@functools.cache
def base(*choices: str) -> dict[str, Any]:
    """Composed once for each choice of files; not to be changed."""
    return composed(*choices)


def refusal(config: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        validate(config)
    return str(caught.value)


def put(config: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy of a configuration with another value of a dotted key."""
    changed = copy.deepcopy(config)
    *groups, last = key.split(".")
    node = changed
    for group in groups:
        node = node[group]
    node[last] = value
    return changed


@pytest.fixture
def config() -> dict[str, Any]:
    return copy.deepcopy(base())


@pytest.mark.parametrize(("overrides", "line"), RULES, ids=[rule for rule, _ in RULES])
def test_refusals(overrides: str, line: str) -> None:
    *choices, change = overrides.split()
    key, value = change.split("=")
    assert key in flatten(base(*choices))
    assert refusal(put(base(*choices), key, yaml.safe_load(value))) == line


def test_settings_that_are_missing_or_too_many(config: dict[str, Any]) -> None:
    hint, there = "there is no such setting", "see conf/ for those there are"
    assert refusal(config | {"lamda": 1}) == f"lamda: {hint}; did you mean lam?; {there}"
    assert refusal(config | {"hidden": [1]}) == f"hidden: {hint}; did you mean model.hidden?; {there}"
    assert refusal(put(config, "model.bn.xyz", 1)) == f"model.bn.xyz: {hint}; {there}"
    del config["lam"], config["model"]["init"]["sigma"]
    assert refusal(config).splitlines() == ["lam: is missing", "model.init.sigma: is missing"]


def test_kinds_that_there_are_not(config: dict[str, Any]) -> None:
    line = refusal(put(config, "optimizer.schedule.kind", "sawtooth"))
    assert line.startswith("optimizer.schedule.kind=sawtooth: must be one of 'cyclic', 'constant', 'step'")
    del config["optimizer"]["schedule"]["kind"]
    assert refusal(config) == "optimizer.schedule.kind: is missing"


def test_a_key_that_is_also_the_name_of_a_kind(config: dict[str, Any]) -> None:
    assert refusal(put(config, "optimizer.schedule.cyclic", 1)).startswith("optimizer.schedule.cyclic: there is no")


def test_every_setting_is_checked(config: dict[str, Any]) -> None:
    for key in flatten(config):
        assert refusal(put(config, key, [[]])).startswith(key)


def test_several_faults_are_told_a_line_each(config: dict[str, Any]) -> None:
    assert set(refusal(put(put(config, "lam", -1), "model.bn.momentum", 2)).splitlines()) == {
        "lam=-1: must be greater than or equal to 0",
        "model.bn.momentum=2: must be less than 1",
    }


def test_one_dropout_rate_a_layer(config: dict[str, Any]) -> None:
    assert validate(put(config, "model.dropout", 0.25)).model.dropout_rates == (0.25, 0.25)
    assert validate(put(config, "model.dropout", [0.25, 0])).model.dropout_rates == (0.25, 0.0)


@pytest.mark.parametrize("name", ["study", "studies/first", "a b", "x.y", "ü" * 127, "console", "com10", "a'b=c,d"])
def test_folder_names(name: str, config: dict[str, Any]) -> None:
    assert is_folder_name(name)
    assert validate(put(config, "name", name)).name == name


@pytest.mark.parametrize(
    "name",
    [
        "", "  ", ".", ".git", "..", "a/../b", "/tmp", 7, ["a"], "a/", "a//b", "a/.git", "CON", "nul.txt", "a/com1",
        "Lpt9.x", "a:b", "a<b", "a|b", "a?", "a*", "a\\b", 'a"b', "a.", "a ", "a\nb", "a\0", "\udc80", "x" * 256,
        "ü" * 128, "a/" * 600,
    ],
)  # fmt: skip
def test_names_that_are_no_folder_names(name: object) -> None:
    assert not is_folder_name(name)


def test_settings_survive_a_dump(config: dict[str, Any]) -> None:
    settings = validate(config)
    assert settings.model_dump() | {"storage": None} == config
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_differences_name_key_old_and_new_value(config: dict[str, Any]) -> None:
    changed = put(put(put(config, "lam", 0.1), "model.hidden", [20]), "data.n_train", 100)
    changed = put(put(changed, "evaluation.test", False), "threads", 2)
    assert differences(config, changed) == [
        "model.hidden: [50, 50] -> [20]",
        "data.n_train: null -> 100",
        "lam: 0.005 -> 0.1",
        "evaluation.test: true -> false",
    ]
    assert differences(config, copy.deepcopy(config)) == []


def test_differences_see_keys_that_came_or_went(config: dict[str, Any]) -> None:
    older = copy.deepcopy(config)
    del older["model"]["label_smoothing"]
    assert differences(older, config) == ["model.label_smoothing: null -> 0.0"]
    assert differences(config, older) == ["model.label_smoothing: 0.0 -> null"]


def test_only_the_manner_of_a_run_may_differ(config: dict[str, Any]) -> None:
    silent = []
    for key in flatten(config):
        found = [line.split(":")[0] for line in differences(config, put(config, key, "other"))]
        silent += [key] if not found else []
        assert found in ([], [key])
    assert sorted(silent) == sorted(EXECUTION)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x" * 5000, "x" * 97 + "..."),
        (10**5000, "a number of 16610 bits"),
        ([10**5000], "..."),
        ("a\nb\x1b[31m", "a\\nb\\x1b[31m"),
        ([1] * 1000, str([1] * 1000)[:97] + "..."),
        ("Ünï", "Ünï"),
    ],
    ids=range(6),
)
def test_values_are_shown_on_one_short_line(value: Any, text: str) -> None:
    assert shown(value) == text


def test_many_faults_are_told_on_a_few_short_lines(config: dict[str, Any]) -> None:
    lines = refusal(config | {f"{i}\n{'key' * 1000}": i for i in range(1000)}).splitlines()
    assert len(lines) == 20
    assert lines[-1] == "and 981 more faults"
    assert all(len(line) < 300 for line in lines)


@pytest.mark.parametrize(
    ("overrides", "steps"),
    [
        ((), 2 * 2 * 2250),
        (("optimizer=sgd_constant",), 20 * 450),
        (("optimizer.schedule.cycles=null", "optimizer.schedule.steps=7"), 7),
        (("data.n_train=1010", "optimizer.schedule.cycles=null", "optimizer.schedule.epochs=3"), 30),
    ],
)
def test_the_length_of_a_training(overrides: tuple[str, ...], steps: int) -> None:
    assert validate(composed(*overrides)).n_steps == steps


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("lam", 0, math.inf),
        ("model.dropout", 0, 1 - 2**-53),
        ("model.init.sigma", 5e-324, 1e6),
        ("optimizer.schedule.eta_max_factor", 5e-324, 1),
        ("data.augmentation.reach", 0, 31),
        ("batch_size", 1, 10**9),
        ("model", -math.inf, math.inf),
        ("model.hidden", -math.inf, math.inf),
        ("optimizer.schedule.kind", -math.inf, math.inf),
        ("no.such", -math.inf, math.inf),
    ],
)
def test_the_range_of_a_setting(key: str, low: float, high: float) -> None:
    assert setting_range(key) == (low, high)
