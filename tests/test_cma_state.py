"""The state of CMA-ES in study.db is read back, but nothing in it is run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from small_sweeps import unsynced

from kls.errors import DamageError
from kls.sweep.cma_state import CmaEs, load

cmaes = pytest.importorskip("cmaes")
SPACE = {"x": FloatDistribution(-1.0, 1.0), "y": FloatDistribution(-1.0, 1.0)}
KINDS: dict[str, Any] = {
    "CMA": lambda: cmaes.CMA(np.zeros(2), 1.0, seed=0),
    "CMA with adapted rates": lambda: cmaes.CMA(np.zeros(2), 1.0, seed=0, lr_adapt=True),
    "SepCMA": lambda: cmaes.SepCMA(np.zeros(2), 1.0, seed=0),
    "CMAwM": lambda: cmaes.CMAwM(np.zeros(2), 1.0, np.array([[-1.0, 1.0]] * 2), np.array([0.0, 1.0]), seed=0),
}


def told(optimizer: Any) -> Any:
    """The optimizer after a generation."""
    asked = [optimizer.ask() for _ in range(optimizer.population_size)]
    points = [point[1] if isinstance(point, tuple) else point for point in asked]
    optimizer.tell([(point, float(np.sum(point**2))) for point in points])
    return optimizer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", range(4, pickle.HIGHEST_PROTOCOL + 1))
def test_states_are_read_back(kind: str, protocol: int) -> None:
    optimizer = told(KINDS[kind]())
    read = load(pickle.dumps(optimizer, protocol))
    assert type(read) is type(optimizer)
    assert (read.generation, read.dim) == (1, 2)
    assert np.array_equal(*(getattr(found, "_cma", found)._mean for found in (read, optimizer)))


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_payloads_are_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    nested = told(KINDS["CMA"]())
    nested._funhist_values = [Payload(mark)]
    states = [Payload(mark), {"deep": [Payload(mark)]}, nested, np.array([Payload(mark)], dtype=object)]
    for state in [*map(pickle.dumps, states), b"cos\nsystem\n(S'touch ran'\ntR.", b"", b"\x80\x04garbage", b"N."]:
        with pytest.raises(DamageError, match=r"^study\.db: the state of CmaEsSampler cannot be read \(.*\)$"):
            load(state)
    assert not mark.exists()
    pickle.loads(pickle.dumps(states[0]))
    assert mark.exists()  # the payload works


def test_a_payload_in_the_database_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    storage = optuna.storages.RDBStorage("sqlite://", {"creator": lambda: unsynced(tmp_path / "study.db")})
    study = optuna.create_study(study_name="s", storage=storage, sampler=CmaEs(seed=0, popsize=4))
    for _ in range(12):
        trial = study.ask(SPACE)
        study.tell(trial, trial.params["x"] ** 2)
    changed = 0
    for stored in study.get_trials():
        for key in [key for key in stored.system_attrs if "optimizer" in key]:
            state = pickle.dumps(Payload(mark)).hex() if key.endswith(":0") else ""
            with storage.engine.connect() as connection:  # as whoever sent the file would: trials that ended are closed
                connection.exec_driver_sql(
                    "UPDATE trial_system_attributes SET value_json = ? WHERE trial_id = ? AND key = ?",
                    (f'"{state}"', stored._trial_id, key),
                )
                connection.commit()
            changed += 1
    assert changed
    again = optuna.storages.RDBStorage("sqlite://", {"creator": lambda: unsynced(tmp_path / "study.db")})
    with pytest.raises(DamageError, match="touch"):
        optuna.load_study(study_name="s", storage=again, sampler=CmaEs(seed=0, popsize=4)).ask(SPACE)
    assert not mark.exists()
    for opened in (storage, again):
        opened.remove_session()
        opened.engine.dispose()
