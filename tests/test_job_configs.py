"""Configurations of jobs that are copies of one equal those that Hydra composes each for itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from kls.config.project import project_root
from kls.sweep.job_configs import JobConfigs


@pytest.fixture
def composer() -> Iterator[tuple[Any, DictConfig]]:
    """Hydra's loader, and the configuration of a sweep."""
    hydra = Hydra.create_main_hydra2("train", create_config_search_path(str(project_root() / "conf")))
    given = ["model=9layer", "hydra.sweep.dir='a b'"]
    yield hydra.config_loader, hydra.compose_config("train", given, RunMode.MULTIRUN)
    GlobalHydra.instance().clear()


def whole(config: DictConfig) -> Any:
    return OmegaConf.to_container(config, resolve=False)


JOBS = [
    ["lam=0.1", "hydra.sweep.subdir='0'"],
    ["lam=1e-3", "hydra.sweep.subdir='1'"],
    ["lam=null", "hydra.sweep.subdir='x y'"],
    ["lam=0.1", "seed=3"],
    ["seed=4", "lam=0.2"],
    ["model=3layer_bn", "lam=0.1"],
    ["model=3layer_bn", "lam=0.2"],
    ["model=9layer_bn", "lam=0.2"],
    ["model.hidden=[20,10]", "model.dropout=0.5"],
    ["model.hidden=[30]", "model.dropout=[0.5]"],
    ["optimizer=adam_cyclic", "optimizer/schedule=step", "optimizer.schedule.eta=0.1"],
    ["optimizer=adam_cyclic", "optimizer/schedule=step", "optimizer.schedule.eta=0.2"],
    ["+hydra.job.env_set.A='1'", "lam=0.1"],
    ["+hydra.job.env_set.A='2'", "lam=0.2"],
    ["~name"],
    ["data={projection:0.9,seed:2}"],
    ["data={projection:0.8}"],
]


@pytest.mark.slow
def test_copies_equal_what_hydra_composes(composer: tuple[Any, DictConfig]) -> None:
    loader, master = composer
    configs = JobConfigs(loader, master)
    for overrides in JOBS + JOBS[::-1]:
        expected = loader.load_sweep_config(master, overrides)
        own, hydra = configs.compose(overrides)
        assert whole(own) == {key: value for key, value in whole(expected).items() if key != "hydra"}, overrides
        assert hydra.runtime.choices == expected.hydra.runtime.choices
        name, given = configs.of_hydra(overrides)
        assert given == expected.hydra.overrides.task
        assert [f"hydra.sweep.subdir='{name}'"] * (name is not None) == [o for o in overrides if "subdir" in o]


def test_most_are_copies(composer: tuple[Any, DictConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    loader, master = composer
    composed = []
    load = loader.load_sweep_config
    monkeypatch.setattr(loader, "load_sweep_config", lambda m, o: composed.append(o) or load(m, o))
    configs = JobConfigs(loader, master)
    for k in range(5):
        configs.compose([f"lam={k}", "seed=1"])
    assert composed == [["lam=0", "seed=1"]]


@pytest.mark.parametrize("wrong", ["no_such_key=1", "model=no_such_model", "hydra.launcher.n_jobs=7"])
def test_what_cannot_be_composed_is_refused_as_by_hydra(composer: tuple[Any, DictConfig], wrong: str) -> None:
    loader, master = composer
    configs = JobConfigs(loader, master)
    configs.compose(["lam=1"])
    with pytest.raises(HydraException) as expected:
        loader.load_sweep_config(master, [wrong])
    with pytest.raises(HydraException) as got:
        configs.compose([wrong])
    assert str(got.value) == str(expected.value)
