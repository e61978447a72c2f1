"""What a training would take of memory and disk, and whether there is so much, before anything is allocated.

The sizes are estimates from the settings alone: of the arrays that the modules of kls.core and kls.data make.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from kls.config.settings import TEST_PICTURES, TRAINING_PICTURES, Settings
from kls.core.architecture import Architecture
from kls.errors import UserError

PIXELS, CLASSES = 3072, 10
EVALUATED_ROWS = 1000  # at once, as in kls.core.evaluation
HISTORY_ROW = 1500, 250  # bytes of a row of the history in memory and in its file
FILES = 500_000  # bytes of a run's pictures, logs and settings
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def require_training(settings: Settings, runs: int = 1, processes: int = 1, max_members: int = 1) -> None:
    """Raises UserError where the populations that are trained at once do not fit into the memory.

    runs: asked for at once. processes, max_members: of the launcher, which shares the runs out over them.
    """
    processes = min(processes, runs)
    members = min(max_members, -(-runs // processes))
    each = _data(settings) + _network(settings, members) + _history(settings, members)
    layers = f"{len(settings.model.hidden) + 1} layers and {parameters(settings):,} parameters"
    what = f"training {members} networks of {layers}" if members > 1 else f"training a network of {layers}"
    what += f" for {settings.n_steps:,} steps"
    if processes > 1:
        what += f", in each of {processes} processes,"
    require_memory(processes * each, what, "; hydra.launcher.max_members=1 takes less" if members > 1 else "")


def require_runs(folder: Path, runs: Iterable[tuple[Settings, int]]) -> None:
    """Raises UserError where the disk of ``folder`` has no room for so many runs of each of these settings."""
    counted = list(runs)
    what = f"the files of {sum(n for _, n in counted)} runs"
    require_disk(folder, sum(n * _files(settings) for settings, n in counted), what)


def require_memory(size: int, what: str, hint: str = "") -> None:
    """Raises UserError where ``size`` bytes are more than this machine, or its container, has."""
    limit = memory_limit()
    if limit is not None and size > limit:
        raise UserError(f"{what} would take about {readable(size)} of memory; there are {readable(limit)}{hint}")


def require_disk(folder: Path, size: int, what: str) -> None:
    """Raises UserError where ``size`` bytes are more than is free where ``folder`` is, or will be."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if size > free:
        raise UserError(f"{what} would take about {readable(size)} on the disk of {folder}; {readable(free)} are free")


def memory_limit() -> int | None:
    """Bytes of memory that this process may use: physical, of its control group, or set by ulimit. None: not known."""
    limits = []
    if hasattr(os, "sysconf"):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in map(Path, _CGROUPS):
        try:
            limits.append(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):  # not there; "max"
            continue
    try:
        import resource
    except ImportError:  # not on this system
        pass
    else:
        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        limits += [soft] if soft != resource.RLIM_INFINITY else []
    return min(limits, default=None)


def parameters(settings: Settings) -> int:
    """Trained numbers of a network, with as many inputs as there are pixels."""
    bn = settings.model.bn
    placement = bn.placement if bn.enabled else None
    return Architecture(PIXELS, tuple(settings.model.hidden), CLASSES, PIXELS, placement).n_parameters


def readable(size: int) -> str:
    """A number of bytes in units that are read easily."""
    power = min(max(0, int(math.log2(max(size, 1)) // 10)), 8)
    number = size / 1024**power
    return f"{number:.4g} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB')[power]}"


def _itemsize(settings: Settings) -> int:
    return 4 if settings.dtype == "float32" else 8


def _data(settings: Settings) -> int:
    data, item = settings.data, _itemsize(settings)
    n_test = TEST_PICTURES if data.n_test is None else data.n_test
    inputs = (data.training_pictures + data.n_val + n_test) * PIXELS * item
    source = (TRAINING_PICTURES + TEST_PICTURES) * PIXELS
    axes = 0 if data.projection is None else 3 * 8 * PIXELS**2 + inputs
    return source + inputs + axes


def _network(settings: Settings, members: int) -> int:
    """Arrays of a population: parameters, what a training step and an evaluation write, and the learning rates."""
    model, item, batch = settings.model, _itemsize(settings), settings.batch_size
    units = sum(model.hidden)
    # values and gradients; float64 draws and their stack, then indices, best network and a checkpoint's copy
    of_parameters = parameters(settings) * (item * (2 + settings.optimizer.slots) + 16)
    of_unit = 3 * item + 1 + (2 * item if model.bn.enabled else 0) + (item if any(model.dropout_rates) else 0)
    of_batch = batch * (units * of_unit + CLASSES * item)
    precise = model.bn.enabled and model.bn.statistics == "precise"
    windows = 2 * model.bn.precise_batches * units * item if precise else 0
    whole = model.bn.enabled and model.bn.statistics == "adaptive"
    rows = settings.data.training_pictures if whole else EVALUATED_ROWS
    of_evaluation = rows * max(m + n for m, n in pairwise([*model.hidden, CLASSES, 0])) * item
    of_rates = 3 * 8 * settings.n_steps
    snapshots = settings.ensemble.snapshots * (parameters(settings) * (8 + 3 * item) + of_batch + of_evaluation)
    own = of_parameters + of_batch + windows + of_evaluation + of_rates + snapshots
    return members * own + 3 * batch * PIXELS * item


def _evaluations(settings: Settings) -> int:
    period = settings.evaluation.every_steps or settings.data.training_pictures // settings.batch_size
    return settings.n_steps // period + 2


def _history(settings: Settings, members: int) -> int:
    return members * _evaluations(settings) * HISTORY_ROW[0]


def _files(settings: Settings) -> int:
    """Bytes of a run's folder: its last checkpoint, the one before while it is written, best network, snapshots."""
    network = parameters(settings) * _itemsize(settings)
    checkpoints = 2 * (1 + settings.optimizer.slots) + 1 + settings.ensemble.snapshots
    return network * checkpoints + _evaluations(settings) * HISTORY_ROW[1] + FILES
