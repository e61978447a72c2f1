"""What a training would take of memory and disk, and whether there is so much, before anything is allocated.

The sizes are estimates, of the arrays that the modules of kls.core and kls.data make, from the settings alone; where
only the files of the data say how large they are, these are read.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from kls.config import build
from kls.config.settings import Settings
from kls.core.architecture import Architecture
from kls.core.augmentation import BLOCK_ROWS
from kls.errors import UserError
from kls.records.memory import memory_limit

EVALUATED_ROWS = 1000  # at once, as in kls.core.evaluation
HISTORY_ROW = 1500, 250  # bytes of a row of the history in memory and in its file
FILES = 500_000  # bytes of a run's pictures, logs and settings


def require_training(settings: Settings, runs: int = 1, processes: int = 1, max_members: int = 1) -> None:
    """Raises UserError where the populations that are trained at once do not fit into the memory.

    runs: asked for at once. processes, max_members: of the launcher, which shares the runs out over them.
    """
    processes = min(processes, runs)
    members = min(max_members, -(-runs // processes))
    each = _of_views(settings) + _network(settings, members) + _history(settings, members)
    layers = f"{len(settings.model.hidden) + 1} layers and {parameters(settings):,} parameters"
    what = f"training {members} networks of {layers}" if members > 1 else f"training a network of {layers}"
    what += f" for {settings.steps_of(sizes_of(settings).training):,} steps"
    if processes > 1:
        what += f", in each of {processes} processes,"
    hint = "; hydra.launcher.max_members=1 takes less" if members > 1 else ""
    require_memory(_data(settings) + processes * each, what, hint)


def members_in(memory: int, settings: Settings, most: int) -> int:
    """How many networks of these settings one process trains together in so many bytes, at most ``most``.

    Raises UserError where not even one fits.
    """
    base = _data(settings) + _of_views(settings)
    one, two = (base + _network(settings, n) + _history(settings, n) for n in (1, 2))
    if one > memory:
        size = readable(one)
        raise UserError(f"hydra.launcher.memory: training one network takes about {size}, more than {readable(memory)}")
    return min(most, 1 + (memory - one) // (two - one))


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


@dataclass(frozen=True)
class Sizes:
    """Numbers of an example and classes; examples of the source, of the three sets together, and of training."""

    features: int
    classes: int
    source: int
    sets: int
    training: int


def sizes_of(settings: Settings) -> Sizes:
    """How large the data are, read if nothing else says."""
    data, known = settings.data, settings.data.known
    n_train, n_val = data.training_examples, data.validation_examples
    if n_train is None or n_val is None or not (known.shape and known.n_classes and known.n_train and known.n_test):
        found = build.data_set(settings)
        n = sum(len(split.y) for split in (found.train, found.val, found.test))
        return Sizes(len(found.mean), len(found.class_names), n, n, len(found.train.y))
    sets = n_train + n_val + (known.n_test if data.n_test is None else data.n_test)
    return Sizes(math.prod(known.shape), known.n_classes, known.n_train + known.n_test, sets, n_train)


def parameters(settings: Settings) -> int:
    """Trained numbers of a network, with as many inputs as an example has numbers."""
    bn, sizes = settings.model.bn, sizes_of(settings)
    placement = bn.placement if bn.enabled else None
    return Architecture(
        sizes.features, tuple(settings.model.hidden), sizes.classes, sizes.features, placement
    ).n_parameters


def readable(size: int) -> str:
    """A number of bytes in units that are read easily."""
    power = min(max(0, int(math.log2(max(size, 1)) // 10)), 8)
    number = size / 1024**power
    return f"{number:.4g} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB')[power]}"


def _itemsize(settings: Settings) -> int:
    return 4 if settings.dtype == "float32" else 8


def _data(settings: Settings) -> int:
    """What processes share (see kls.data.mapped), and the source, which one of them reads."""
    sizes = sizes_of(settings)
    return sizes.sets * sizes.features * _itemsize(settings) + sizes.source * sizes.features


def _of_views(settings: Settings) -> int:
    """What each process makes of the inputs."""
    data, sizes = settings.data, sizes_of(settings)
    inputs = sizes.sets * sizes.features * _itemsize(settings)
    axes = 0 if data.projection is None else 3 * 8 * sizes.features**2 + inputs
    reaches = [own.reach for own in (data.augmentation, data.test_augmentation) if own.is_on]
    reaches += [] if settings.ensemble.reach is None else [settings.ensemble.reach]
    side = max(math.isqrt(sizes.features // 3), 1)  # of a picture of three colours; others have less of a frame
    framed = max(((1 + 2 * reach / side) ** 2 for reach in reaches), default=0.0)
    return axes + int(framed * max(BLOCK_ROWS, settings.batch_size) * sizes.features * _itemsize(settings))


def _network(settings: Settings, members: int) -> int:
    """Arrays of a population: parameters, what a training step and an evaluation write, and the learning rates."""
    model, item, batch, sizes = settings.model, _itemsize(settings), settings.batch_size, sizes_of(settings)
    units = sum(model.hidden)
    # values and gradients; float64 draws and their stack, then indices, best network and a checkpoint's copy
    of_parameters = parameters(settings) * (item * (2 + settings.optimizer.slots) + 16)
    of_unit = 3 * item + 1 + (2 * item if model.bn.enabled else 0) + (item if any(model.dropout_rates) else 0)
    of_batch = batch * (units * of_unit + sizes.classes * item)
    precise = model.bn.enabled and model.bn.statistics == "precise"
    windows = 2 * model.bn.precise_batches * units * item if precise else 0
    whole = model.bn.enabled and model.bn.statistics == "adaptive"
    rows = sizes.training if whole else EVALUATED_ROWS
    of_evaluation = rows * max(m + n for m, n in pairwise([*model.hidden, sizes.classes, 0])) * item
    of_rates = 3 * 8 * settings.steps_of(sizes.training)
    snapshots = settings.ensemble.snapshots * (parameters(settings) * (8 + 3 * item) + of_batch + of_evaluation)
    own = of_parameters + of_batch + windows + of_evaluation + of_rates + snapshots
    return members * own + 3 * batch * sizes.features * item


def _evaluations(settings: Settings) -> int:
    n = sizes_of(settings).training
    period = settings.evaluation.every_steps or n // settings.batch_size
    return settings.steps_of(n) // period + 2


def _history(settings: Settings, members: int) -> int:
    return members * _evaluations(settings) * HISTORY_ROW[0]


def _files(settings: Settings) -> int:
    """Bytes of a run's folder: its last checkpoint, the one before while it is written, best network, snapshots."""
    network = parameters(settings) * _itemsize(settings)
    checkpoints = 2 * (1 + settings.optimizer.slots) + 1 + settings.ensemble.snapshots
    return network * checkpoints + _evaluations(settings) * HISTORY_ROW[1] + FILES
