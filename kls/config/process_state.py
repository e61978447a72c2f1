"""What a run changes of its process, put back: for those who run several in one process, and other things beside."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.global_hydra import GlobalHydra


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Context after which command line, environment, logging, warnings and Hydra's own state are as they were."""
    arguments, environment = sys.argv, dict(os.environ)
    hydra = GlobalHydra.instance()
    application = hydra.hydra
    hydra.clear()
    try:
        with _logging_kept(), warnings.catch_warnings():
            yield
    finally:
        hydra.hydra = application
        sys.argv = arguments
        for key in os.environ.keys() - environment.keys():
            del os.environ[key]
        os.environ.update(environment)


@contextmanager
def _logging_kept() -> Iterator[None]:
    """Hydra sets up the root logger for every run, and closes all handlers that it can find in doing so."""
    root, quietened = logging.getLogger(), [logging.getLogger(name) for name in ("hydra", "hydra_plugins")]
    loggers = {root, *quietened, *(one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger))}
    before = [(one, one.level, one.handlers[:], one.propagate, one.disabled) for one in loggers]
    raises, library = logging.raiseExceptions, vars(logging)
    known, named = library["_handlerList"][:], dict(library["_handlers"])
    logging.raiseExceptions = False  # as for any run: a full disk costs lines of the log
    library["_handlerList"].clear()
    root.handlers.clear()
    try:
        yield
    finally:
        logging.shutdown(library["_handlerList"][:])
        library["_handlerList"][:] = known
        library["_handlers"].update(named)
        logging.raiseExceptions = raises
        for one, level, handlers, propagate, disabled in before:
            one.setLevel(level)
            one.handlers[:] = handlers
            one.propagate, one.disabled = propagate, disabled
