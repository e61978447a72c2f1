"""How a worker process notices that the sweep's controller is gone.

A worker that outlived its controller would write into folders that a resumed sweep uses again. The
controller's process id is announced to the workers it starts through the environment.
"""

from __future__ import annotations

import os

_VARIABLE = "KLS_CONTROLLER"


def announce() -> None:
    """Make this process the controller of the worker processes that it starts from now on."""
    os.environ[_VARIABLE] = str(os.getpid())


def leave_if_orphaned() -> None:
    """End this process, with the jobs that wait in it, if it is a worker whose controller has died.

    It is noticed on POSIX, where an orphan gets another parent.
    """
    controller = os.environ.get(_VARIABLE)
    if controller is not None and controller not in (str(os.getpid()), str(os.getppid())):
        os._exit(1)  # an exception would end one job only
