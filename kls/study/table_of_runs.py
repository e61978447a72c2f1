"""A table of trained runs: one number at many values, each with the same seeds, scored at the end of each cycle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kls.analysis.columns import is_number
from kls.analysis.curve import FEWEST_PLACES
from kls.analysis.runs import Runs, read_history, read_runs
from kls.analysis.wording import listed
from kls.config.flat_settings import SEEDS
from kls.errors import UserError
from kls.records import names

_FEWEST_SEEDS = 2  # for the noise of a run

_N_S, _CYCLES = "optimizer.schedule.n_s", "optimizer.schedule.cycles"


@dataclass(frozen=True)
class Table:
    """Validation accuracies (k, n, c) in percent of a network at k values of a setting, with n seeds, after 1 to c
    cycles of ``epochs`` epochs. values: (k,), ascending. left_out: seeds that are not there at all values.
    """

    network: str
    key: str
    values: np.ndarray
    scores: np.ndarray
    epochs: float
    left_out: int = 0

    def __post_init__(self) -> None:
        k, n, _ = self.scores.shape
        if k < FEWEST_PLACES or n < _FEWEST_SEEDS:
            raise UserError(
                f"{self.network}: {k} values of {self.key} with {n} whole seeds are no table to play on; it takes "
                f"{FEWEST_PLACES} values, and {_FEWEST_SEEDS} seeds that are finished at all of them"
            )


def read_tables(folder: Path, key: str) -> list[Table]:
    """The table of each network whose runs are below ``folder``, by the end of a cycle or the evaluation before it.

    Raises UserError where there is none: its sweep goes on, or the runs differ in something else, or are too few.
    """
    runs = read_runs([folder])
    for sweep in runs.sweeps.values():
        if sweep.status != names.FINISHED:
            raise UserError(f"{folder}: its sweep is {sweep.status}; a table is played on when all of it is there")
    others = [name for name in runs.differing() if name not in (key, *SEEDS) and not name.startswith("model.")]
    if others:
        raise UserError(f"{folder}: its runs differ in {listed(others)} too; a table has {key}, seed and model alone")
    frame = runs.frame[runs.frame[names.STATUS] == names.FINISHED]
    if key not in frame or not all(is_number(value) and value > 0 for value in frame[key]):
        raise UserError(f"{folder}: its runs are not of several values of {key} above 0")
    return [_table(runs, str(network), key) for network in frame["model"].unique()]


def _table(runs: Runs, network: str, key: str) -> Table:
    frame = runs.frame[(runs.frame["model"] == network) & (runs.frame[names.STATUS] == names.FINISHED)]
    n_s, cycles = (frame[name].iloc[0] if name in frame else None for name in (_N_S, _CYCLES))
    if n_s is None or cycles is None:
        raise UserError(f"{network}: its learning rate has no cycles, at whose ends the table is scored")
    values, seeds = sorted(frame[key].unique()), sorted(frame["seed"].unique())
    scores, epochs = np.full((len(values), len(seeds), cycles), np.nan), np.nan
    for path, value, seed in zip(frame["path"], frame[key], frame["seed"], strict=True):
        history = read_history(path)
        ends = np.searchsorted(history["step"], 2 * n_s * np.arange(1, cycles + 1), side="right") - 1
        scores[values.index(value), seeds.index(seed)] = 100.0 * history[names.VAL_ACCURACY].to_numpy()[ends]
        epochs = history["epoch"].iloc[-1] / cycles
    whole = np.isfinite(scores).all(axis=(0, 2))
    return Table(network, key, np.array(values, np.float64), scores[:, whole], float(epochs), int((~whole).sum()))
