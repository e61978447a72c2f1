"""What a report shows of a step: what it measured, its findings, tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from kls.aggregate.document import Block, Details, Grid, Heading, Items, Line, Picture
from kls.aggregate.group_table import group_labels, group_table, group_text, shown_keys
from kls.aggregate.ordering import Ordering
from kls.aggregate.pictures import Gallery
from kls.aggregate.sections import (
    Section,
    data_set_said,
    explanation,
    sections,
    status_counts,
    sweep_blocks,
    trouble_blocks,
)
from kls.aggregate.summarise import Summary
from kls.aggregate.tables import score_name
from kls.records import names
from kls.reporting.findings import Found
from kls.reporting.gradients import gradient_blocks
from kls.reporting.group_curves import curve_pictures
from kls.reporting.results import Runs, StepResult
from kls.reporting.sensitivity import sensitivity_table
from kls.reporting.wording import capital, name_of

_TOP = 5
_FEW = 16  # groups that are shown without a click


def step_blocks(result: StepResult, found: Sequence[Found], folder: Path) -> list[Block]:
    """All of a step; pictures go to ``folder``."""
    step = result.step
    blocks: list[Block] = [Heading(capital(step.name.replace("_", " ")), 3, f"step-{step.name}"), Line(step.what)]
    if result.missing is not None:
        blocks.append(Line(result.missing))
    own = [finding for finding in found if finding.step == step.name]
    stem = f"report-{step.folder}-"
    if result.runs is not None:
        blocks += runs_blocks(result.runs, folder, stem)
    blocks += [block for finding in own for block in finding.blocks]
    blocks += gradient_blocks(result.gradients, folder, stem)
    if result.warnings:
        blocks.append(Details("What could not be read", [Items(result.warnings)]))
    return blocks


def runs_blocks(runs: Runs, folder: Path, stem: str) -> list[Block]:
    """Tables and pictures of runs, a part for each data set."""
    summary = runs.summary(runs.metric)
    table, blocks = runs.table, list[Block]()
    parts = sections(table, summary, runs.stages)
    ordering = Ordering(None, list(table.frame.columns), runs.stages)
    for number, section in enumerate(parts, start=1):
        ordered = ordering.groups(section.groups, shown_keys(section.groups, summary))
        blocks += _tables(runs, section, summary, ordered)
        blocks += _pictures(runs, section, summary, folder, stem, number)
    searched = [
        block for name, sweep in runs.found.sweeps.items() for block in sweep_blocks(name, sweep, table.frame, summary)
    ]
    stages = [block for block in searched if not isinstance(block, Heading)]
    if stages:
        edges = [block for block in stages if isinstance(block, Line) and block.words.startswith("EDGE")]
        blocks += edges
        blocks.append(Details("Stages of the sweep", [block for block in stages if block not in edges]))
    trouble = trouble_blocks(table.frame)[1:]
    if trouble:
        blocks.append(Details("Runs that diverged or have no result", trouble))
    return blocks


def best_groups(runs: Runs) -> list[Block]:
    """The best groups of runs as a table."""
    summary = runs.summary(runs.metric)
    best = group_table(summary.groups.head(_TOP), summary, list(runs.table.frame.columns), whole=False)
    n = len(summary.groups)
    return [Line(f"Best {min(_TOP, n)} of {n} groups, by {name_of(summary.metric)}:"), Grid(best)]


def heat_maps(runs: Runs, folder: Path, stem: str) -> list[Picture]:
    """Of mean scores over the initial sigma and another setting, where runs differ in both; one for each data set."""
    summary = runs.summary(runs.metric)
    parts = enumerate(sections(runs.table, summary, runs.stages), start=1)
    galleries = [_gallery(runs, section, summary, folder, stem, number) for number, section in parts]
    return [picture for gallery in galleries for picture in _heat_map(gallery)]


def _gallery(runs: Runs, section: Section, summary: Summary, folder: Path, stem: str, number: int) -> Gallery:
    return Gallery(
        folder, number, section, summary, runs.found.runs, runs.table, runs.found.sweeps, runs.warnings.append, stem
    )


def _heat_map(gallery: Gallery) -> list[Picture]:
    drawn = gallery.heatmap()
    caption = _heat_caption(gallery.section, gallery.summary)
    return [] if drawn is None else [replace(drawn, caption=caption, alt="Heat map of mean scores")]


def _tables(runs: Runs, section: Section, summary: Summary, ordered: pd.DataFrame) -> list[Block]:
    """The grid of a sensitivity study, else all groups; of many groups the best."""
    columns = list(runs.table.frame.columns)
    said = f"{data_set_said(section)}. {status_counts(section.runs)}. {explanation(section.runs, summary)}"
    blocks: list[Block] = [Line(said, quiet=True)]
    grid = sensitivity_table(section.groups, summary, columns)
    if grid is not None:
        blocks += [Line(f"{capital(score_name(summary.metric))} by initial standard deviation:"), Grid(grid)]
    everything = Grid(group_table(ordered, summary, columns, whole=False))
    if grid is None and len(ordered) <= _FEW:
        return [*blocks, everything]
    if grid is None:
        best = group_table(section.groups.head(_TOP), summary, columns, whole=False)
        later = ", later stages first" if "stage" in section.groups and section.groups["stage"].nunique() > 1 else ""
        by = f"by {name_of(summary.metric)}{later}"
        blocks += [Line(f"Best {_TOP} of {len(ordered)} groups, {by}:"), Grid(best)]
    return [*blocks, Details(f"All {len(ordered)} groups", [everything])]


def _pictures(runs: Runs, section: Section, summary: Summary, folder: Path, stem: str, number: int) -> list[Picture]:
    gallery = _gallery(runs, section, summary, folder, stem, number)
    suffix = stem if number == 1 else f"{stem}{number}-"
    drawn = curve_pictures(runs, section, summary, folder, suffix)
    search = None
    if sensitivity_table(section.groups, summary, list(runs.table.frame.columns)) is None:
        validation = runs.summary(names.VAL_ACCURACY)
        (own,) = [s for s in sections(runs.table, validation, runs.stages) if s.fingerprint == section.fingerprint]
        search = replace(gallery, summary=validation, section=own).search()
    if search is not None:
        drawn.append(replace(search, caption=_search_caption(section), alt="Scores of all trials against the settings"))
    drawn += _heat_map(gallery)
    spread = section.groups[section.groups[f"{summary.metric}_n"] >= 3]
    seeds = gallery.seeds() if len(spread) > 1 else None
    if seeds is not None:
        drawn.append(replace(seeds, caption=_seeds_caption(section, summary, spread), alt="A box of scores a group"))
    return drawn


def _search_caption(section: Section) -> str:
    return (
        f"Validation accuracy on {section.name} of every trial; shades are the intervals that the stages searched, the "
        "star is the winner of the last stage, mean over its seeds."
    )


def _heat_caption(section: Section, summary: Summary) -> str:
    metric = summary.metric
    means = section.groups[f"{metric}_mean"].dropna()
    low, high = means.min(), means.max()
    learn = f"from {100 * low:.2f} to {100 * high:.2f} %"
    return f"{capital(name_of(metric))} on {section.name}, mean over seeds: {learn}. Darker is higher."


def _seeds_caption(section: Section, summary: Summary, groups: pd.DataFrame) -> str:
    """How much seeds differ, and in which group the most."""
    metric = summary.metric
    sds = 100.0 * groups[f"{metric}_sd"]
    widest = int(sds.to_numpy().argmax())
    label = group_labels(groups, summary, list(section.runs.columns))[widest]
    return (
        f"Spread over seeds of {name_of(metric)} on {section.name}: the standard deviation of a group is "
        f"{sds.min():.2f} to {sds.max():.2f} points, in the median {sds.median():.2f}; it is largest for {label}, "
        f"{group_text(metric, groups.iloc[widest])}."
    )
