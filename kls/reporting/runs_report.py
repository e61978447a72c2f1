"""The report of any folders of runs and sweeps of a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kls.aggregate import write
from kls.aggregate.document import Block, Commands, Details, Heading, Items
from kls.aggregate.group_table import group_labels, group_said
from kls.aggregate.sections import sections, status_counts
from kls.aggregate.varying import SEEDS
from kls.errors import UserError
from kls.reporting.output import write_report
from kls.reporting.provenance import machine_blocks, settings_blocks, sweep_commands
from kls.reporting.results import Runs, read_runs
from kls.reporting.step_blocks import runs_blocks


def write_runs_report(paths: Sequence[Path], out: Path, title: str | None = None) -> Path:
    """Write report.html, report.md and its pictures to ``out``, of all runs under ``paths``.

    Returns the path of the page. Raises UserError where there are no runs, or ``out`` cannot be written to.
    """
    parts = [(path, read_runs([path])) for path in paths]
    named = [(path.name or path.resolve().name, runs) for path, runs in parts if runs is not None]
    if not named:
        raise UserError(f"{', '.join(map(str, paths))}: no runs there (a run's folder holds metrics.json)")
    words = title or f"Runs of {', '.join(name for name, _ in named)}"
    with write.into(out):
        return write_report(out, words, lambda folder: _blocks(words, named, folder))


def _blocks(title: str, named: Sequence[tuple[str, Runs]], folder: Path) -> list[Block]:
    blocks: list[Block] = [Heading(title, 1), Heading("Summary", 2, "summary")]
    blocks.append(Items([line for name, runs in named for line in _summary(name, runs, len(named) > 1)]))
    for number, (name, runs) in enumerate(named, start=1):
        blocks.append(Heading(name if len(named) > 1 else "Runs", 2, f"runs-{number}"))
        blocks += runs_blocks(runs, folder, f"report-{number}-")
        if runs.warnings:
            blocks.append(Details("What could not be read", [Items(runs.warnings)]))
    commands = list(dict.fromkeys(line for _, runs in named for line in sweep_commands(runs)))
    blocks += settings_blocks(named)
    if commands:
        blocks += [Heading("Commands", 2, "commands"), Commands(commands)]
    return [*blocks, *machine_blocks(named, ())]


def _summary(name: str, runs: Runs, several: bool) -> list[str]:
    """How many runs, what varies, and the best group on each data set."""
    summary = runs.summary(runs.metric)
    frame = runs.table.frame
    varied = [key for key in runs.table.varying_settings() if key not in (*SEEDS, "evaluation.test")]
    lines = [f"{status_counts(frame)}" + (f"; what varies: {', '.join(varied)}." if varied else "; only seeds vary.")]
    for section in sections(runs.table, summary, runs.stages):
        with_result = section.groups[section.groups[f"{summary.metric}_n"] > 0]
        if with_result.empty:
            continue
        label = group_labels(section.groups, summary, list(frame.columns), whole=True)[0]
        said = group_said(summary.metric, with_result.iloc[0])
        lines.append(f"Best on {section.name}{', of the last stage' if 'stage' in varied else ''}: {label}: {said}.")
    return [f"{name}: {line}" for line in lines] if several else lines
