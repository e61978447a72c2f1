"""Play ways of searching on a table of trained runs: what each costs, and how far from the best its answers are.

    python -m kls.study.plays --table=outputs/search_table --out=outputs/plays lambda_search straathof2019
    python -m kls.study.plays --table=outputs/search_table --out=outputs/plays 'mine=[{...}]' --plays=100

A way is a search of sweeps/ by its name, or NAME=SEARCH, or NAME=STAGES as JSON. A run is a draw from the table: the
smooth curve behind its scores, and the noise of its seeds. Whatever else a search sets, the number that is searched,
the cycles of a stage's budget (two, where it says none) and halving are all that is played. Confirmations are not, for
they come after the choice. Writes plays.csv, a row a play; the same table and ways give the same file.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config

from kls.analysis.wording import counted
from kls.config.entry_point import folder_path, parser, reporting
from kls.config.own_configs import CONFIG_DIR
from kls.errors import UserError
from kls.records import names
from kls.records.checked import write_csv
from kls.records.escape import shortened
from kls.study.plan import search_of
from kls.study.table_of_runs import read_tables
from kls.study.table_truth import Truth, VirtualRuns
from kls.sweep.played_search import check_playable, missing_package, play
from kls.sweep.stages import Search

_CHUNK = 25  # plays that a process is given at once


def play_all(
    truths: Mapping[str, Truth], ways: Mapping[str, Search], setting: str, n: int, jobs: int = -1
) -> list[dict[str, Any]]:
    """The rows of plays.csv: n plays of each way on the table of each network. jobs: processes, -1 is all cores."""
    asked = [
        (truth, network, way, plan, setting, range(first, min(first + _CHUNK, n)))
        for network, truth in truths.items()
        for way, plan in ways.items()
        for first in range(0, n, _CHUNK)
    ]
    rows = list[dict[str, Any]]()
    with parallel_config("loky", n_jobs=min(jobs if jobs > 0 else cpu_count(), len(asked)), inner_max_num_threads=1):
        chunks = Parallel(return_as="generator")(delayed(played)(*chunk) for chunk in asked)
        for (_, network, way, *_, numbers), chunk in zip(asked, chunks, strict=True):
            rows += chunk
            if numbers.stop == n:
                print(f"{network}, {way}: {counted(n, 'play')}", flush=True)
    return rows


def played(
    truth: Truth, network: str, way: str, plan: Search, setting: str, numbers: Sequence[int]
) -> list[dict[str, Any]]:
    """A row for each of some plays of a way."""
    rows = []
    for number in numbers:
        runs = VirtualRuns(truth, np.random.default_rng([number, *f"{way} {network}".encode()]))
        found = play(plan, setting, runs.scores, number)
        cycles, low, high = found.curve or (0, np.nan, np.nan)
        values = (way, network, truth.seeds, number, f"{truth.epochs * found.cycles:g}", found.value)
        regrets = (truth.regret(found.value, cycles) for cycles in (truth.cycles, min(2, truth.cycles)))
        best = truth.best(cycles) if cycles else np.nan
        cells = (*values, *(f"{regret:.4f}" for regret in regrets), *(f"{x:.6g}" for x in (low, high, best)))
        rows.append(dict(zip(names.PLAY_COLUMNS, cells, strict=True)))
    return rows


def run(argv: Sequence[str]) -> None:
    """The work of the entry point, with exceptions."""
    ask = parser("kls.study.plays", __doc__ or "")
    ask.add_argument("ways", nargs="+", metavar="WAY", help="a search, or NAME=SEARCH, or NAME=STAGES")
    ask.add_argument("--table", type=folder_path, required=True, help="folder with the runs of the table")
    ask.add_argument("--out", type=folder_path, required=True, help="folder to write plays.csv to")
    ask.add_argument("--setting", default="lam", help="the number that is searched (default: lam)")
    ask.add_argument("--plays", type=int, default=1000, help="of each way (default: 1000)")
    ask.add_argument(CONFIG_DIR, type=folder_path, metavar="FOLDER", help="with your own sweeps/")
    asked = ask.parse_args(argv)
    if not 0 < asked.plays <= 1_000_000:
        raise UserError(f"--plays={asked.plays}: give a number from 1 to 1,000,000")
    ways = dict(_way(text, asked.config_dir) for text in asked.ways)
    tables = read_tables(asked.table, asked.setting)
    truths = {table.network: Truth(table) for table in tables}
    for table in tables:
        left_out = f"; {table.left_out} more are not whole and left out" if table.left_out else ""
        k, n, cycles = table.scores.shape
        print(f"{table.network}: {k} values of {table.key}, {n} seeds, {cycles} cycles{left_out}", flush=True)
    playable = dict[str, Search]()
    for name, plan in ways.items():
        if missing := missing_package(plan):
            print(f"{name}: left out, for it needs the package {missing}", flush=True)
            continue
        try:
            check_playable(plan, asked.setting, min(truth.cycles for truth in truths.values()))
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        playable[name] = plan
    if not playable:
        raise UserError("no way is left to be played")
    asked.out.mkdir(parents=True, exist_ok=True)
    write_csv(asked.out / names.PLAYS, play_all(truths, playable, asked.setting, asked.plays))
    print(f"{len(playable) * len(truths):,} x {asked.plays:,} plays in {asked.out / names.PLAYS}")


def _way(text: str, own: Path | None) -> tuple[str, Search]:
    name, _, given = text.partition("=")
    if not re.fullmatch(r"[a-z]\w*", name):
        raise UserError(f"{shortened(text)}: give a way as NAME, NAME=SEARCH or NAME=STAGES")
    if not given.startswith("["):
        return name, search_of(given or name, own)
    try:
        return name, search_of(json.loads(given), own)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: its stages are not valid JSON ({error})") from None


def main() -> None:
    """Entry point of ``python -m kls.study.plays``."""
    reporting(lambda: run(sys.argv[1:]))


if __name__ == "__main__":
    main()
