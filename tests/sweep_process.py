"""kls.train as a script that does not wait for the disk, since nobody pulls the plug, and makes no report."""

from __future__ import annotations

import os
import sqlite3

from small_sweeps import unsynced

from kls import aggregate, train

if __name__ == "__main__":
    os.fsync = lambda _: None
    sqlite3.connect = unsynced  # type: ignore[assignment]
    aggregate.report = lambda folder, out: f"the report of {folder}"
    train.main()
