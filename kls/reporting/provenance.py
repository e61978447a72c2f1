"""What a report says of how its numbers came about: settings, commands, data, versions, machine, time."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from kls.aggregate.columns import short_names
from kls.aggregate.document import Block, Commands, Details, Grid, Heading, Items, Line
from kls.aggregate.tables import Column, Table, setting_text
from kls.aggregate.varying import DATA, SEEDS, determined, is_number, sort_key
from kls.reporting.results import Runs, StepResult

_MOST_VALUES = 4  # said one by one
_MACHINE = (
    ("kls_version", "kls"), ("python_version", "Python"), ("numpy_version", "NumPy"), ("blas", "BLAS"),
    ("blas_kernels", "BLAS kernels"), ("cpu", "CPU"), ("cores", "cores"), ("platform", "platform"),
)  # fmt: skip
_SPLITS = (("n_train", "training"), ("n_val", "validation"), ("n_test", "test"))


def provenance_blocks(named: Sequence[tuple[str, Runs]], results: Sequence[StepResult]) -> list[Block]:
    """Settings, commands, data and machine of runs by the name of their step; ``results`` tell commands and time."""
    blocks = settings_blocks(named)
    commands = [line for result in results for line in step_commands(result)]
    if commands:
        blocks += [
            Heading("Commands", 2, "commands"),
            Line("These repeat it:"),
            Commands(list(dict.fromkeys(commands))),
        ]
    return [*blocks, *machine_blocks(named, [(result.step.name, result) for result in results])]


def machine_blocks(named: Sequence[tuple[str, Runs]], results: Sequence[tuple[str, StepResult]]) -> list[Block]:
    """Data sets, versions and machine of runs, and a row of time for each of the named results."""
    facts = [*_data(named), *_machine(named), *_time(named)]
    blocks: list[Block] = [Heading("Data, machine and time", 2, "machine"), Items(facts)] if facts else []
    return [*blocks, Grid(_times(results))] if results else blocks


def settings_blocks(named: Sequence[tuple[str, Runs]]) -> list[Block]:
    """Once the settings that most runs have, and a row a step and stage of what is else there."""
    if not named:
        return []
    keys = [key for key in dict.fromkeys(key for _, runs in named for key in runs.table.settings) if key not in SEEDS]
    frames = pd.concat([runs.table.frame.reindex(columns=["model", "stage", "seed", *keys]) for _, runs in named])
    by_model = [key for key in keys if key.startswith("model.") and determined(frames, key, ["model"])]
    usual = {key: _most_frequent(frames[key]) for key in keys}
    rows = [
        (name, "-" if pd.isna(stage) else str(stage), part)
        for name, runs in named
        for stage, part in runs.table.frame.groupby("stage", sort=False, dropna=False)
    ]
    heads = short_names(keys, keys)
    else_there = [_unusual(part, [key for key in keys if key not in by_model], usual, heads) for *_, part in rows]
    table = [
        Column("step", [name for name, *_ in rows]),
        Column("stage", [stage for _, stage, _ in rows], 1),
        Column("runs", [str(len(part)) for *_, part in rows], number=True),
        Column("seeds", [_said(_column(part, "seed")) for *_, part in rows]),
        Column("models", [_said(_column(part, "model")) for *_, part in rows]),
        Column("other than usual", [said or "-" for said in else_there]),
    ]
    models = frames.drop_duplicates("model").sort_values("model", key=lambda values: values.map(str))
    varied = [key for key in by_model if len(_distinct(_column(frames, key))) > 1]
    shapes = [Column("model", [setting_text(value) for value in models["model"]])]
    shapes += [Column(heads[key], [setting_text(value) for value in models[key]]) for key in varied]
    shared = [key for key in keys if key not in varied]
    values = [Column("setting", shared), Column("usual value", [setting_text(usual[key]) for key in shared])]
    blocks: list[Block] = [Heading("Settings", 2, "settings"), Grid(Table(table, []))]
    blocks += [Line("The models:"), Grid(Table(shapes, []))] if varied else []
    return [*blocks, Details(f"The usual values of {len(shared)} settings", [Grid(Table(values, []))])]


def _most_frequent(values: pd.Series[Any]) -> Any:
    counts = Counter(map(sort_key, values))
    most = max(counts, key=counts.__getitem__)
    return next(value for value in values if sort_key(value) == most)


def _unusual(part: pd.DataFrame, keys: Sequence[str], usual: Mapping[str, Any], heads: Mapping[str, str]) -> str:
    """For example "lam 0.0001 to 0.1 (20 values), cycles 4"; a missing setting, which others rule out, is not said."""
    found = {key: [v for v in _distinct(_column(part, key)) if v is not None and v == v] for key in keys}
    return ", ".join(
        f"{heads[key]} {_said(values)}"
        for key, values in found.items()
        if values and [sort_key(value) for value in values] != [sort_key(usual[key])]
    )


def _column(frame: pd.DataFrame, key: str) -> list[Any]:
    return list(frame[key].unique()) if key in frame else [None]


def _distinct(values: Sequence[Any]) -> list[Any]:
    return list({sort_key(value): value for value in values}.values())


def _said(values: Sequence[Any]) -> str:
    """All of a few values; the ends and number of many."""
    known = sorted(_distinct(values), key=sort_key)
    if len(known) <= _MOST_VALUES or not all(map(is_number, known)):
        return ", ".join(map(setting_text, known))
    return f"{setting_text(known[0])} to {setting_text(known[-1])} ({len(known)} values)"


def step_commands(result: StepResult) -> list[str]:
    """Those of step.json, else made from the record of the sweep, or of the gradient checks."""
    if result.record.commands:
        return list(result.record.commands)
    if result.step.gradients is not None:
        return [shlex.join(["python", "-m", "kls.gradcheck", *words]) for words in result.step.gradients.values()]
    return sweep_commands(result.runs) if result.runs else []


def sweep_commands(runs: Runs) -> list[str]:
    """The command of each sweep among the runs."""
    return [
        shlex.join(["python", "-m", "kls.train", "--multirun", *_config_dir(sweep.config_dir), *sweep.overrides])
        for sweep in runs.found.sweeps.values()
        if sweep.overrides
    ]


def _config_dir(folder: str | None) -> list[str]:
    return [] if folder is None else ["--config-dir", folder]


def _data(named: Sequence[tuple[str, Runs]]) -> list[str]:
    lines = []
    for _, runs in named:
        for (name, fingerprint), part in runs.table.frame.groupby(list(DATA), sort=False):
            sizes = [f"{_sizes(_column(part, key))} {word}" for key, word in _SPLITS if key in part]
            lines.append(f"Data set {name}, fingerprint {fingerprint}: {', '.join(sizes)} pictures.")
    return list(dict.fromkeys(lines))


def _sizes(values: Sequence[Any]) -> str:
    return ", ".join(f"{value:,}" for value in sorted(value for value in values if is_number(value)))


def _machine(named: Sequence[tuple[str, Runs]]) -> list[str]:
    parts = []
    for key, words in _MACHINE:
        values = _distinct([v for _, runs in named for v in _column(runs.table.frame, key) if v is not None and v == v])
        if values:
            parts.append(f"{words} {' and '.join(map(str, values))}")
    return [f"{', '.join(parts)}."] if parts else []


def _time(named: Sequence[tuple[str, Runs]]) -> list[str]:
    """Time of training in all, and when."""
    seconds, started, ended, n = 0.0, list[str](), list[str](), 0
    for _, runs in named:
        frame = runs.table.frame
        n += len(frame)
        if "seconds" in frame:
            together = frame["population"].map(lambda k: k if is_number(k) else 1) if "population" in frame else 1
            seconds += float((pd.to_numeric(frame["seconds"], errors="coerce") / together).sum())
        started += [v for v in _column(frame, "started") if isinstance(v, str)]
        ended += [v for v in _column(frame, "ended") if isinstance(v, str)]
    if not n:
        return []
    when = f", from {_minute(min(started))} to {_minute(max(ended))}" if started and ended else ""
    return [f"{n:,} runs, {duration(seconds)} of training and evaluation on one process{when}."]


def _times(results: Sequence[tuple[str, StepResult]]) -> Table:
    seconds = [result.record.seconds for _, result in results]
    return Table(
        [
            Column("step", [name for name, _ in results]),
            Column("runs", [_count(result) for _, result in results], number=True),
            Column("wall time", ["-" if time is None else duration(time) for time in seconds], number=True),
        ],
        [],
    )


def _count(result: StepResult) -> str:
    if result.runs is not None:
        return str(len(result.runs.found.runs))
    n = len(result.gradients)
    return f"{n} {'check' if n == 1 else 'checks'}" if n else "not run"


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


def duration(seconds: float) -> str:
    """For example "1 h 05 min", "12 min", "8.3 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
