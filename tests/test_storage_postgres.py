"""Sweeps whose studies are in a real PostgreSQL: killed, resumed, failed, and nowhere a password."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import optuna
import pytest
from disturbed_sweeps import STAGES, Sweep, undisturbed
from entry_points import mistake, python
from postgres import ESCAPED, SECRET, server
from small_sweeps import ALONE, FOLDER, SCRIPT, TINY, record_of, refused, stages_argument, sweep_in, trials_of
from test_storage import SWEEP
from test_sweep_resume import Killed, at_call, kill

from kls.config.storage_setting import ENVIRONMENT
from kls.sweep import study_copy
from kls.sweep.study_copy import StudyCopy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with server() as found:
        yield found


@pytest.fixture
def storage(address: str) -> Iterator[optuna.storages.RDBStorage]:
    """As others, such as optuna-dashboard, open it."""
    found = optuna.storages.RDBStorage(address.replace("postgresql", "postgresql+psycopg"))
    yield found
    found.remove_session()
    found.engine.dispose()


def told(study: optuna.Study | list[optuna.trial.FrozenTrial]) -> list[object]:
    trials = study if isinstance(study, list) else study.trials
    return [(t.number, t.state, t.params, t.values, t.intermediate_values) for t in trials]


def seen(folder: Path) -> list[Path]:
    """Files with the password, as it is or as an address has it."""
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_a_sweep_killed_and_resumed_has_each_trial_once(
    cifar_root: Path, address: str, storage: optuna.storages.RDBStorage, tmp_path: Path
) -> None:
    expected = undisturbed(tmp_path / "expected").folder
    sweep, rng = Sweep(tmp_path / "killed", environment={ENVIRONMENT: address}), random.Random(0)
    sweep.cwd.mkdir()
    for n in (3, 21, 24):
        sweep.start()
        sweep.wait_until(partial(sweep.begun, n))
        sweep.kill("group", rng)
        sweep.end()
    sweep.finish()
    assert sweep.again == 0
    name = record_of(sweep.folder)["studies"]
    summaries = {s.study_name: s for s in optuna.get_all_study_summaries(storage)}
    assert [summaries[f"{name}/{stage}"].n_trials for stage in STAGES] == [20, 6, 1]
    for stage in STAGES:
        study = optuna.load_study(study_name=f"{name}/{stage}", storage=storage)
        assert told(study) == told(trials_of(expected, stage))
    assert seen(tmp_path) == []
    assert SECRET not in sweep.text()


def test_kills_between_record_and_database(
    cifar_root: Path, address: str, storage: optuna.storages.RDBStorage, tmp_path: Path
) -> None:
    stages = stages_argument("name:tpe,sampler:tpe,trials:4,batch:1,params:{lam:{low:0.1,high:0.2}}")
    assert sweep_in(tmp_path, *TINY, ALONE, "hydra.sweep.dir=expected", stages).status == 0
    arguments = [*TINY, ALONE, FOLDER, stages, f"storage={address}"]
    for owner, call, number in (
        (StudyCopy, "update", 2), (StudyCopy, "_add", 1), (study_copy, "_attributes", 2), (StudyCopy, "update", 3),
    ):  # fmt: skip
        with at_call(owner, call, number, kill), pytest.raises(Killed):
            sweep_in(tmp_path, *arguments)
        arguments = [ALONE, "resume=sweep", stages, f"storage={address}"]
    outcome = sweep_in(tmp_path, *arguments)
    assert (outcome.err, outcome.status) == ("", 0)
    study = optuna.load_study(study_name=f"{record_of(tmp_path / 'sweep')['studies']}/tpe", storage=storage)
    assert told(study) == told(trials_of(tmp_path / "expected", "tpe"))
    assert seen(tmp_path) == []


def test_a_failed_sweep_shows_no_password(
    cifar_root: Path,
    address: str,
    storage: optuna.storages.RDBStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a process of its own, with all that Hydra and SQLAlchemy log, and with the trace of the error."""
    given = f"data.root={cifar_root},{cifar_root}/nowhere"
    monkeypatch.setenv("KLS_TRACEBACK", "1")
    command = (str(SCRIPT), "--multirun")
    begin = (*TINY, ALONE, FOLDER, given, "max_failures=0", "hydra.verbose=true", f"storage={address}")
    for arguments in (begin, (ALONE, given, "resume=sweep", "max_failures=0", f"++storage='{address}'")):
        outcome = python(tmp_path, *command, *arguments)
        assert outcome.status == 1, outcome.err
        assert "1 jobs failed, more than max_failures=0" in outcome.err
        assert "Traceback" in outcome.err
        assert SECRET not in outcome.out + outcome.err
    assert record_of(tmp_path / "sweep")["status"] == "failed"
    assert seen(tmp_path) == []
    resumed = python(tmp_path, *command, ALONE, given, "resume=sweep", "max_failures=1", f"storage={address}")
    assert (resumed.err, resumed.status) == ("", 0)
    assert SECRET not in resumed.out
    assert seen(tmp_path) == []
    (name,) = [s.study_name for s in optuna.get_all_study_summaries(storage) if s.study_name.endswith("/grid")]
    assert name == f"{record_of(tmp_path / 'sweep')['studies']}/grid"
    states = [t.state.name for t in optuna.load_study(study_name=name, storage=storage).trials]
    assert states == ["COMPLETE", "FAIL"]


def test_a_wrong_password(address: str, tmp_path: Path) -> None:
    place = address.partition("@")[2]
    line = refused(tmp_path, *SWEEP, FOLDER, f"storage=postgresql://kls:{SECRET}@{place}")
    assert line.startswith(f"storage=postgresql://{place}: connection failed: connection to server at ")
    assert line.endswith('FATAL: password authentication failed for user "kls"')
    line = refused(tmp_path, *SWEEP, FOLDER, f"storage=postgresql://kls:{ESCAPED}@{place}_2")
    assert line.endswith('FATAL: database "postgres_2" does not exist')


def test_a_study_that_is_taken_away_stops_the_sweep(
    cifar_root: Path, address: str, storage: optuna.storages.RDBStorage, tmp_path: Path
) -> None:
    def taken_away() -> None:
        name = f"{record_of(tmp_path / 'sweep')['studies']}/search"
        storage.delete_study(storage.get_study_id_from_name(name))

    with at_call(StudyCopy, "_add", 1, taken_away):
        line = mistake(sweep_in(tmp_path, *SWEEP, FOLDER, f"storage={address}"))
    assert line.startswith('insert or update on table "trials" violates foreign key constraint')
    assert line.endswith(f"; mend that, and go on with the same command and resume={tmp_path}/sweep")
    assert record_of(tmp_path / "sweep")["status"] == "interrupted"
    assert sweep_in(tmp_path, "resume=sweep", ALONE, f"storage={address}").status == 0
    study = optuna.load_study(study_name=f"{record_of(tmp_path / 'sweep')['studies']}/search", storage=storage)
    assert len(study.trials) == 3


def test_a_server_that_goes_away_stops_the_sweep(cifar_root: Path, tmp_path: Path) -> None:
    with server() as address:
        stack = ExitStack()
        found = stack.enter_context(server())
        assert found != address
        with at_call(StudyCopy, "_add", 1, stack.close):
            line = mistake(sweep_in(tmp_path, *SWEEP, FOLDER, f"storage={found}"))
        assert line.endswith(f"; mend that, and go on with the same command and resume={tmp_path}/sweep")
        assert SECRET not in line
        assert seen(tmp_path) == []
        outcome = sweep_in(tmp_path, "resume=sweep", ALONE, f"storage={address}")  # into another
        assert (outcome.err, outcome.status) == ("", 0)
