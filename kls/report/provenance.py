"""How the numbers of a page came about: settings, commands, data, versions, machine and time."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from kls.analysis.columns import determined, equal_to, is_number, short_names, sort_key
from kls.analysis.runs import Runs
from kls.analysis.tables import rows_table
from kls.analysis.wording import counted, duration, listed, setting_text
from kls.config.flat_settings import SEEDS
from kls.report.document import Block, Commands, Details, Heading, List, Paragraph, TableBlock

_MOST_VALUES = 4  # listed one by one
_MACHINE = {
    "kls_version": "kls", "git_commit": "commit", "python_version": "Python", "numpy_version": "NumPy", "blas": "BLAS",
    "blas_kernels": "BLAS kernels", "cpu": "CPU", "cores": "cores", "platform": "platform",
}  # fmt: skip
_SPLITS = {"n_train": "training", "n_val": "validation", "n_test": "test"}


def settings_blocks(named: Sequence[tuple[str, Runs]]) -> list[Block]:
    """The usual value of each setting once, and what is unusual in each stage of each of the named runs."""
    if not named:
        return []
    keys = [key for key in dict.fromkeys(key for _, runs in named for key in runs.settings) if key not in SEEDS]
    frame = pd.concat([runs.frame.reindex(columns=["model", *keys]) for _, runs in named], ignore_index=True)
    usual = {key: Counter(map(sort_key, frame[key])).most_common(1)[0][0] for key in keys}
    of_model = [key for key in keys if key.startswith("model.") and determined(frame, key, ["model"])]
    heads, rows = short_names(keys, keys), []
    for name, runs in named:
        stages = [stage.name for sweep in runs.sweeps.values() for stage in sweep.stages]
        for stage in sorted(runs.frame["stage"].unique(), key=lambda s: stages.index(s) if s in stages else -1):
            part = runs.frame[equal_to(runs.frame["stage"], stage)]
            found = {key: _distinct(part, key) for key in keys if key not in of_model}
            other = [key for key, values in found.items() if values and list(map(sort_key, values)) != [usual[key]]]
            unusual = "; ".join(f"{heads[key]} {_values(part, key)}" for key in other) or "-"
            row = {"stage": setting_text(stage), "runs": f"{len(part):,}", "seeds": _values(part, "seed")}
            row |= {"models": _values(part, "model"), "unusual settings": unusual}
            rows.append({"step": name, **row} if len(named) > 1 else row)
    table = rows_table(rows, ("stage", "seeds", "models", "unusual settings"))
    blocks: list[Block] = [Heading("Settings", 2, "settings"), TableBlock(table)]
    shapes = {key: heads[key] for key in of_model if len(_distinct(frame, key)) > 1}
    if shapes:
        networks = frame.drop_duplicates("model").sort_values("model", key=lambda values: values.map(str))
        shown = {"model": "model", **shapes}
        rows = [{head: setting_text(row[key]) for key, head in shown.items()} for row in networks.to_dict("records")]
        blocks += [Paragraph("The models:"), TableBlock(rows_table(rows, [*shown.values()]))]
    texts = {key: next(setting_text(value) for value in frame[key] if sort_key(value) == usual[key]) for key in keys}
    rest = [{"setting": key, "usual value": text} for key, text in texts.items() if key not in shapes]
    whole = TableBlock(rows_table(rest, ["usual value"]))
    return [*blocks, Details(f"The usual values of {counted(len(rest), 'setting')}", [whole])]


def _distinct(frame: pd.DataFrame, key: str) -> list[Any]:
    """The values of a column that may be missing, each once, in their order, without null."""
    values = {sort_key(value): value for value in frame.get(key, ())}
    return [values[place] for place in sorted(values) if place != sort_key(None)]


def _values(frame: pd.DataFrame, key: str) -> str:
    """All of a few values of a column; the ends and number of many."""
    values = _distinct(frame, key)
    if len(values) > _MOST_VALUES and all(map(is_number, values)):
        return f"{setting_text(values[0])} to {setting_text(values[-1])} ({len(values)} values)"
    return listed(list(map(setting_text, values))) or "-"


def command_blocks(commands: Sequence[str]) -> list[Block]:
    """The commands, each once."""
    if not commands:
        return []
    return [Heading("Commands", 2, "commands"), Paragraph("These repeat it:"), Commands(list(dict.fromkeys(commands)))]


def sweep_commands(runs: Runs) -> list[str]:
    """The command of each sweep that the runs are part of."""
    sweeps = [sweep for sweep in runs.sweeps.values() if sweep.overrides]
    given = [[*(["--config-dir", s.config_dir] if s.config_dir else []), *s.overrides] for s in sweeps]
    return [shlex.join(["python", "-m", "kls.train", "--multirun", *words]) for words in given]


def machine_blocks(several: Sequence[Runs]) -> list[Block]:
    """Data sets, versions and machine of runs, and when and how long they trained."""
    if not several:
        return []
    frame, lines = pd.concat([runs.frame for runs in several], ignore_index=True), list[str]()
    for name, part in frame.dropna(subset=["data"]).groupby("data", sort=False):
        sizes = [f"{' or '.join(f'{n:,}' for n in _distinct(part, k))} {words}" for k, words in _SPLITS.items()]
        lines.append(f"Data set {name}: {', '.join(sizes)} pictures; fingerprint {_values(part, 'data_fingerprint')}.")
    facts = [(words, list(map(str, _distinct(frame, key)))) for key, words in _MACHINE.items()]
    machine = [f"{words} {listed(values)}" for words, values in facts if values]
    times = frame.reindex(columns=["seconds", "population"]).apply(pd.to_numeric, errors="coerce")
    seconds = (times["seconds"] / times["population"].fillna(1)).sum()  # each run of a population has those of all
    started, ended = _distinct(frame, "started"), _distinct(frame, "ended")
    when = f", {started[0][:16]} to {ended[-1][:16]}".replace("T", " ") if started and ended else ""
    lines += [f"{', '.join(machine)}."] if machine else []
    lines.append(f"{counted(len(frame), 'run')}, {duration(seconds)} of training and evaluation by one process{when}.")
    return [Heading("Data, machine and time", 2, "machine"), List(lines)]
