"""Studies in a database that others use too, or in a journal file on a shared disk; what is said of it has no password.

Its drivers are extras of this project's: kls[postgresql], kls[mysql].
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

from kls.config.storage_setting import FORMS
from kls.errors import UserError

_DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql"}
_JOURNALS = (".journal", ".log")
_PATIENCE = 10  # seconds for a server to answer
_ATTEMPTS = 3  # to make the tables, which others may be making


class Address:
    """Where studies are kept. ``str`` of it is for everybody's eyes. Raises UserError for what is no such place."""

    def __init__(self, given: str) -> None:
        self.path: Path | None = None
        self.url: URL | None = None
        if "://" in given:
            self.url = _url(given)
        elif given.endswith(_JOURNALS):
            self.path = Path(given).expanduser().absolute()
            if not self.path.parent.is_dir():
                raise UserError(f"storage={self.path}: there is no folder {self.path.parent}")
        else:
            raise UserError(f"storage: must be {FORMS}")

    def __str__(self) -> str:
        if self.url is None:
            return str(self.path)
        port = f":{self.url.port}" if self.url.port else ""
        return f"{self.url.get_backend_name()}://{self.url.host or ''}{port}/{self.url.database or ''}"

    def without_password(self, text: str) -> str:
        """The text with *** in the place of anything that only the address says."""
        secrets = [] if self.url is None else [self.url.password, *self.url.query.values()]
        for secret in secrets:
            text = text.replace(str(secret), "***") if secret else text
        return text


@contextmanager
def opened(address: Address) -> Iterator[BaseStorage]:
    """The storage at an address, made where there is none yet. Raises UserError where it cannot be used."""
    try:
        storage = _journal(address.path) if address.path is not None else _database(address)
    except (OSError, RuntimeError, ValueError, KeyError, SQLAlchemyError, StorageInternalError) as error:
        raise UserError(f"storage={address}: {address.without_password(fault_line(error))}") from None
    try:
        yield storage
    finally:
        if isinstance(storage, RDBStorage):
            storage.remove_session()
            storage.engine.dispose()


def fault_line(error: BaseException) -> str:
    """What a storage raised, in a line: what the database says, without the statement that SQLAlchemy quotes."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    lines = str(getattr(error, "orig", None) or error).splitlines()
    return " ".join(lines[0].split()) if lines else type(error).__name__


def _url(given: str) -> URL:
    scheme, _, rest = given.partition("://")
    backend = {"postgres": "postgresql"}.get(scheme, scheme.partition("+")[0])
    if backend not in _DRIVERS:
        raise UserError(f"storage: there is no such kind of database here; give {FORMS}")
    try:
        url = make_url(f"{backend}+{_DRIVERS[backend]}://{rest}")
    except (SQLAlchemyError, ValueError):
        url = None
    if url is None or rest.count("@") > 1 or not url.database:
        form = f"{backend}://user:password@host/database"
        raise UserError(f"storage: must be {form}; of user and password @ is written %40, / %2F, : %3A and % %25")
    return url


def _database(address: Address) -> RDBStorage:
    assert address.url is not None
    backend = address.url.get_backend_name()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return RDBStorage(
                address.url.render_as_string(hide_password=False),
                {"pool_pre_ping": True, "connect_args": {"connect_timeout": _PATIENCE}},
            )
        except ImportError:
            raise UserError(
                f"storage={address}: needs the package {_DRIVERS[backend]}: pip install 'kls[{backend}]'"
            ) from None
        except (IntegrityError, ProgrammingError):
            if attempt == _ATTEMPTS:
                raise
            time.sleep(attempt)
    raise AssertionError


def _journal(path: Path) -> JournalStorage:
    """The journal, without what a killed process has written of a line at its end."""
    backend = JournalFileBackend(str(path))
    lock = JournalFileSymlinkLock(str(path))
    lock.acquire()
    try:
        with path.open("rb+") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()
    return JournalStorage(backend)
