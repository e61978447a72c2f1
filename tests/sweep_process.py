"""kls.train as a script that does not wait for the disk: it may be killed, but nobody pulls the plug."""

from __future__ import annotations

import os
import sqlite3

from small_sweeps import unsynced

from kls import train

if __name__ == "__main__":
    os.fsync = lambda _: None
    sqlite3.connect = unsynced  # type: ignore[assignment]
    train.main()
