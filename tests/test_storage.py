"""storage=: where the studies of a sweep are, what is refused, and that no password is seen."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest
from entry_points import mistake, train_in
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from postgres import SECRET
from small_sweeps import ALONE, FOLDER, TINY, record_of, refused, sweep_in, trials_of
from test_sweep_resume import Killed, at_call, kill

from kls.config import storage_setting
from kls.config.storage_setting import storage_address, taken
from kls.errors import UserError
from kls.records import names
from kls.records.escape import without_credentials
from kls.study.__main__ import run as run_study
from kls.sweep.shared_storage import Address
from kls.sweep.study_copy import StudyCopy

URL = f"postgresql://me:{SECRET}@127.0.0.1:1/studies"
SWEEP = (*TINY, ALONE, "sampler=tpe", "trials=3", "lam=tag(log,interval(1e-4,1e-1))")


@pytest.fixture(autouse=True)
def _none_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(storage_setting.ENVIRONMENT, raising=False)


def journal(path: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(path)))


def test_it_is_taken_off_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with taken(["lam=1", f"storage={URL}", "storage='a.journal'", "x=storage=1"], multirun=True) as rest:
        assert rest == ["lam=1", "x=storage=1"]
        assert storage_address() == "a.journal"
    assert storage_address() is None
    monkeypatch.setenv(storage_setting.ENVIRONMENT, URL)
    with taken([], multirun=False):
        assert storage_address() == URL
    for argument in ("storage=null", "+storage=null", "++storage=null"):
        with taken([argument], multirun=True) as rest:
            assert (rest, storage_address()) == ([], None)
    with pytest.raises(UserError, match=r"^storage=: give postgresql://user:password@host/database, .* or null$"):
        taken(["storage="], multirun=True).__enter__()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (URL, "postgresql://127.0.0.1:1/studies"),
        (f"postgres://me:{SECRET}@host/x", "postgresql://host/x"),
        (f"postgresql+psycopg://me:{SECRET}%40@host/x", "postgresql://host/x"),
        (f"postgresql://host/x?user=me&password={SECRET}", "postgresql://host/x"),
        (f"mysql://me:{SECRET}@host:3306/x", "mysql://host:3306/x"),
        ("/tmp/a b.journal", "/tmp/a b.journal"),
        ("/tmp/x.log", "/tmp/x.log"),
    ],
)
def test_an_address_is_shown_without_what_is_secret(given: str, shown: str) -> None:
    address = Address(given)
    assert str(address) == shown
    if address.url is not None and address.url.password:
        assert SECRET not in address.without_password(f"FATAL: {address.url.password} is wrong")


def test_the_drivers_are_those_of_the_extras() -> None:
    drivers = [Address(f"{kind}://u:p@h/x").url for kind in ("postgresql", "mysql")]
    assert [url.drivername for url in drivers if url] == ["postgresql+psycopg", "mysql+pymysql"]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (f"oracle://me:{SECRET}@host/x", "storage: there is no such kind of database here; give postgresql://user:"),
        (f"me:{SECRET}@host/x", "storage: must be postgresql://user:password@host/database, mysql://user:password@"),
        (f"postgresql://me:{SECRET}@2@host/x", "storage: must be postgresql://user:password@host/database; of user a"),
        (f"postgresql://me:{SECRET}@host:port/x", "storage: must be postgresql://user:password@host/database; of use"),
        (f"mysql://me:{SECRET}@host", "storage: must be mysql://user:password@host/database; of user and pass"),
        ("/no/where/x.journal", "storage=/no/where/x.journal: there is no folder /no/where"),
    ],
)
def test_what_is_no_place_for_studies(given: str, line: str, tmp_path: Path) -> None:
    told = refused(tmp_path, *SWEEP, FOLDER, f"storage={given}")
    assert told.startswith(line)
    assert SECRET not in told


def test_a_missing_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pymysql", None)
    assert refused(tmp_path, *SWEEP, FOLDER, f"storage=mysql://me:{SECRET}@127.0.0.1:1/x") == (
        "storage=mysql://127.0.0.1:1/x: needs the package pymysql: pip install 'kls[mysql]'"
    )


def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv(storage_setting.ENVIRONMENT, URL)
    told = refused(tmp_path, *SWEEP, FOLDER)
    assert told.startswith("storage=postgresql://127.0.0.1:1/studies: connection failed: ")
    assert told.endswith("Connection refused")


def test_a_journal_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("a log\nof something\n")
    told = refused(tmp_path, *SWEEP, FOLDER, "storage=x.log")
    assert told.startswith(f"storage={tmp_path}/x.log: Expecting value")
    assert (tmp_path / "x.log").read_text() == "a log\nof something\n"


def test_only_a_sweep_has_studies(tmp_path: Path) -> None:
    for more in ((), ("resume=x",), ("sweeps=smoke",)):
        outcome = train_in(tmp_path, *TINY, f"storage={URL}", *more)
        assert mistake(outcome) == "storage: is for sweeps, which are run with --multirun"
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_settings_does_not_say_it(tmp_path: Path) -> None:
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "x.yaml").write_text(f"# @package _global_\nstorage: {URL}\n")
    own = ("--config-dir", "own", "+experiment=x")
    for outcome in (train_in(tmp_path, *TINY, *own), sweep_in(tmp_path, *SWEEP, *own)):
        told = "storage: is given on the command line, or by KLS_STORAGE, and not in a file of settings"
        assert mistake(outcome) == told
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_neither_does_a_stage_or_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = f"hydra.sweeper.stages=[{{name:a,params:{{lam:{{values:[1]}}}},budget:['storage=\"{URL}\"']}}]"
    told = refused(tmp_path, *TINY, stage)
    assert "is the whole sweep's and not for one of its stages to set" in told
    assert SECRET not in told
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="give a setting as key=value"):
        run_study(["straathof2019", "storage=x.journal"])


def test_addresses_in_any_message_lose_their_credentials() -> None:
    assert without_credentials(f"see https://x.org/a, '{URL}' ({URL}?password=a%20b&x=1)") == (
        "see https://x.org/a, 'postgresql://***@127.0.0.1:1/studies' "
        "(postgresql://***@127.0.0.1:1/studies?password=***&x=1)"
    )


def test_a_typing_error_shows_no_password(tmp_path: Path) -> None:
    for argument in (f"storag={URL}", f"storage:{URL}", f"~storage={URL}", f"sampler={URL}"):
        outcome = sweep_in(tmp_path, *SWEEP, FOLDER, argument)
        assert outcome.status == 1
        assert SECRET not in outcome.out + outcome.err


def test_a_sweep_into_a_journal(cifar_root: Path, tmp_path: Path) -> None:
    outcome = sweep_in(tmp_path, *TINY, ALONE, FOLDER, "lam=0.1", "storage=s.journal")
    assert (outcome.err, outcome.status) == ("", 0)
    name = record_of(tmp_path / "sweep")["studies"]
    assert f"the studies are in {tmp_path}/s.journal, as {name}/..." in outcome.out
    (trial,) = optuna.load_study(study_name=f"{name}/grid", storage=journal(tmp_path / "s.journal")).trials
    assert trial.params == {"seed": 0}
    files = [path for path in (tmp_path / "sweep").rglob("*") if path.is_file()]
    assert [path for path in files if b"s.journal" in path.read_bytes()] == []


@pytest.mark.slow
def test_studies_in_a_journal(cifar_root: Path, tmp_path: Path) -> None:
    """Two sweeps side by side; one is killed between its record and the journal, and once in between was a database."""
    assert sweep_in(tmp_path, *SWEEP, "hydra.sweep.dir=expected").status == 0
    assert sweep_in(tmp_path, *SWEEP, "hydra.sweep.dir=other", "storage=s.journal").status == 0
    with at_call(StudyCopy, "update", 2, kill), pytest.raises(Killed):
        sweep_in(tmp_path, *SWEEP, FOLDER, "storage=s.journal")
    with at_call(StudyCopy, "_add", 1, kill), pytest.raises(Killed):
        sweep_in(tmp_path, "resume=sweep", ALONE, "storage=s.journal")
    outcome = sweep_in(tmp_path, "resume=sweep", ALONE, "storage=s.journal")
    assert (outcome.err, outcome.status) == ("", 0)
    record = record_of(tmp_path / "sweep")
    assert sweep_in(tmp_path, "resume=sweep", ALONE, "storage=s.journal").status == 0  # nothing is left to do
    found = {s.study_name: s.n_trials for s in optuna.get_all_study_summaries(journal(tmp_path / "s.journal"))}
    assert found == {f"{record_of(tmp_path / folder)['studies']}/search": 3 for folder in ("other", "sweep")}
    study = optuna.load_study(study_name=f"{record['studies']}/search", storage=journal(tmp_path / "s.journal"))
    expected = trials_of(tmp_path / "expected", "search")
    assert [(t.number, t.params, t.values) for t in study.trials] == [(t.number, t.params, t.values) for t in expected]
    assert not (tmp_path / "sweep" / names.STUDY).exists()
    assert sweep_in(tmp_path, "resume=sweep", ALONE).status == 0  # without it: the folder's own
    assert [t.values for t in trials_of(tmp_path / "sweep", "search")] == [t.values for t in expected]
    assert record_of(tmp_path / "sweep")["studies"] == record["studies"]


@pytest.mark.slow
def test_a_recorded_name_that_is_not_a_sweeps_own_is_not_used(cifar_root: Path, tmp_path: Path) -> None:
    optuna.create_study(study_name="mine/search", storage=journal(tmp_path / "s.journal"))
    assert sweep_in(tmp_path, *SWEEP, FOLDER, "storage=s.journal").status == 0
    for name in (names.SWEEP, f".{names.SWEEP}.copy"):
        record = record_of(tmp_path / "sweep") | {"studies": "mine"}
        record.pop("checksum", None)
        (tmp_path / "sweep" / name).write_text(json.dumps(record))
    assert sweep_in(tmp_path, "resume=sweep", ALONE, "storage=s.journal").status == 0
    assert record_of(tmp_path / "sweep")["studies"].startswith("sweep-")
    found = {s.study_name: s.n_trials for s in optuna.get_all_study_summaries(journal(tmp_path / "s.journal"))}
    assert (found["mine/search"], len(found)) == (0, 3)
