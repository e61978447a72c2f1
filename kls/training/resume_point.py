"""Where the runs of a population go on: at the newest step that all of them have a checkpoint of.

Each run keeps its last two checkpoints, so that a process that is killed while it writes them leaves a step that all
have. Members that were dropped after that step train again until they are dropped, since matrix products round
differently in a narrower population.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kls.errors import DamageError, UserError
from kls.records import checked, names
from kls.training.run_record import RunRecord

State = dict[str, np.ndarray]


def resume_point(records: Sequence[RunRecord], snapshots: Mapping[str, int]) -> dict[int, State]:
    """The checkpoints of one step, by the place of their records; none where all begin at the first step.

    They are the runs' last ones from then on. snapshots: files that a run must have at a checkpoint, and their steps.
    Damaged checkpoints are set aside.
    """
    known = [_checkpoints(record, snapshots) for record in records]
    for step in sorted({step for states in known for step in states}, reverse=True):
        there = [i for i, record in enumerate(records) if record.end_step > step]
        if there and all(step in known[i] for i in there):
            for i in there:
                records[i].folder.go_back_to(known[i][step][0])
            return {i: known[i][step][1] for i in there}
    return {}


def _checkpoints(record: RunRecord, snapshots: Mapping[str, int]) -> dict[int, tuple[str, State]]:
    """The checkpoints of a run that can be used, and their files, by step."""
    found = {}
    for name in (names.PREVIOUS, names.LAST):
        try:
            state = record.folder.read_checkpoint(name)
            if record.usable(state, snapshots):
                found[int(state["step"])] = name, state
        except DamageError:
            checked.set_aside(record.folder.path / name)
        except (UserError, KeyError, OverflowError, TypeError, ValueError):  # none, or none of this version
            continue
    return found
