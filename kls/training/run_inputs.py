"""How raw examples become a network's inputs: a file in the folder of each run, with which it predicts without data."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from kls.config.settings import Settings
from kls.data.dataset import default_root
from kls.data.raw_inputs import RawInputs
from kls.errors import DamageError, UserError
from kls.records import names
from kls.records.arrays import read_arrays, write_arrays
from kls.records.atomic import temporary_path
from kls.records.run_folder import RunFolder
from kls.training.trained_network import load_data

_COMPARED = 8  # files of other trials


def put_inputs(inputs: RawInputs, folders: Sequence[Path]) -> None:
    """Write inputs.npz into those of the folders that have none. Raises OSError where that cannot be done.

    Runs share one file, by hard links, where the file system has them: those of the folders, and trials beside them.
    """
    paths = [path for path in (folder / names.INPUTS for folder in folders) if not path.is_file()]
    if not paths:
        return
    first, *others = paths
    write_arrays(first, inputs.arrays())
    for twin in islice(_of_other_trials(first), _COMPARED):
        if filecmp.cmp(first, twin, shallow=False):
            _link(twin, first)
            break
    for path in others:
        if not _link(first, path):
            write_arrays(path, inputs.arrays())


def _of_other_trials(path: Path) -> Iterator[Path]:
    """Files of trials beside that of ``path``, which may be a trial's; they are folders with numbers for names."""
    trial = path.parent
    if trial.name.isdecimal():
        with os.scandir(trial.parent) as found:
            for entry in found:
                other = Path(entry.path, path.name)
                if entry.name.isdecimal() and entry.name != trial.name and other.is_file():
                    yield other


def _link(source: Path, path: Path) -> bool:
    """Whether ``path`` is now another name of the file ``source``."""
    temporary = temporary_path(path)
    try:
        os.link(source, temporary)
        temporary.replace(path)
    except OSError:  # another disk, a file system without links, or too many of them
        return False
    finally:
        temporary.unlink(missing_ok=True)  # it stays where ``path`` was another name of the same file already
    return True


def read_inputs(folder: Path, settings: Settings) -> RawInputs:
    """How raw examples become the inputs of the run's network; of an older run, from its data set.

    Raises DamageError where the file is damaged; UserError where it is of other data, or there is neither.
    """
    path = folder / names.INPUTS
    try:
        inputs = RawInputs.from_arrays(read_arrays(path))
    except FileNotFoundError:
        return _from_data(folder, settings)
    except ValueError as error:
        raise DamageError(f"{path}: is no record of inputs ({error})") from None
    known = RunFolder(folder).read_metrics().get("data_fingerprint", inputs.fingerprint)
    if known != inputs.fingerprint:
        raise DamageError(f"{path}: is of the data {inputs.fingerprint[:20]!r}; the run's are {known!r}")
    return inputs


def _from_data(folder: Path, settings: Settings) -> RawInputs:
    try:
        return load_data(folder, settings, default_root()).inputs
    except UserError as error:
        raise UserError(f"{folder}: has no {names.INPUTS}, so its data set is needed: {error}") from None
