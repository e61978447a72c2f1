"""How a worker process notices that the sweep's controller is gone.

A worker that outlived its controller would write into folders that a resumed sweep uses again.
"""

from __future__ import annotations

import multiprocessing
import os

_PARENT = os.getppid()  # when a worker begins; an orphan gets another, on POSIX


def leave_if_orphaned() -> None:
    """End this process, with the jobs that wait in it, if it is a worker of joblib's whose controller has died."""
    if os.getppid() != _PARENT and multiprocessing.current_process().name.startswith("Loky"):
        os._exit(1)  # an exception would end one job only
