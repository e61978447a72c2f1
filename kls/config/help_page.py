"""The page of --help: what the command does, what can be chosen, and where the settings are explained."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra.core.object_type import ObjectType

from kls.config.entry_point import as_called
from kls.config.project import project_root
from kls.config.search_path import FileConfigSource, ProjectSource
from kls.records.checked import parse_yaml, read_text

WIDTH = 118
_GROUPS = {
    "model": "the network",
    "optimizer": "the optimizer, with its schedule of learning rates",
    "optimizer/schedule": "the schedule alone",
    "data": "the data set",
    "hydra/launcher": "what runs the jobs of a sweep",
    "sweeps": "with --multirun: what is searched, and with what settings",
    "experiment": "with a plus, +experiment=CHOICE: settings of several groups together",
}
_LAUNCHERS = {
    "population": "trains the jobs of a sweep together, as populations over all cores",
    "joblib": "a process for each job",
    "basic": "one job after the other, in this process",
}
_SWEEPS = """
    python -m kls.train --multirun sweeps=lambda_search model=9layer_bn data=cifar10     search lam, coarse to fine
    python -m kls.train --multirun model=3layer,9layer 'lam=choice(1e-3,1e-2)' repeats=3  a grid, 3 seeds each
    python -m kls.train --multirun 'lam=tag(log,interval(1e-5,1e-1))' trials=30          a search by TPE
    python -m kls.train --multirun sweeps=lambda_search dry_run=true                     what would run, and how long
"""
_FLAGS = """
--multirun, -m      a sweep: search what sweeps=CHOICE says, or a grid of lists: model=3layer,9layer lam=1e-3,1e-2
--config-dir DIR    choices of your own: DIR/model/x.yaml is model=x, and so for each group; DIR/sweeps/y.yaml is
                    sweeps=y and DIR/experiment/z.yaml +experiment=z, whose first line is "# @package _global_";
                    DIR/study/w.yaml is run by python -m kls.study w
--cfg job           print the settings that would be used, and stop
--info              print how they are composed, and stop
-sc install=bash    print shell completion; to have it in bash: eval "$(kls-train -sc install=bash)"
--hydra-help        more flags of Hydra, which composes the settings (https://hydra.cc)
"""


def help_page(description: str, config_name: str, own: Path | None) -> str:
    """The page for a command that is described so; ``config_name`` names its file in conf/.

    own: the folder of --config-dir.
    """
    root = project_root()
    sources: list[FileConfigSource] = [ProjectSource("main", f"{ProjectSource.scheme()}://{root}")]
    if own is not None:
        sources.append(FileConfigSource("command-line", str(own.absolute())))
    parts = [
        description.strip() + (_SWEEPS.rstrip() if config_name == "train" else ""),
        "Choices, GROUP=CHOICE on the command line:",
    ]
    defaults = _defaults(root)
    groups = sorted({group for source in sources for group in _groups(source)}, key=_order)
    parts += [_section(group, _choices(group, sources), defaults.get(group)) for group in groups]
    parts.append(_section("hydra/launcher", _LAUNCHERS, "population"))
    parts.append(f"Flags:\n{textwrap.indent(_FLAGS.strip(), '  ')}")
    files = " and ".join(str(root / "conf" / f"{name}.yaml") for name in dict.fromkeys((config_name, "train")))
    parts.append(
        "Any setting can be given on the command line, SETTING=VALUE, such as lam=1e-3 or model.hidden=[100,50].\n"
        f"Each is explained in {files}."
    )
    return as_called("\n\n".join(parts))


def _groups(source: FileConfigSource, parent: str = "") -> Iterator[str]:
    """Groups with choices in them, to a depth of two, as optimizer/schedule has."""
    for name in source.list(parent, ObjectType.GROUP):
        group = f"{parent}/{name}" if parent else name
        if source.list(group, ObjectType.CONFIG):
            yield group
        if not parent:
            yield from _groups(source, group)


def _order(group: str) -> tuple[int, str]:
    known = list(_GROUPS)
    return (known.index(group), "") if group in known else (len(known), group)


def _choices(group: str, sources: Sequence[FileConfigSource]) -> dict[str, str]:
    """Each choice with the first line of its file that says something."""
    found: dict[str, str] = {}
    for source in sources:
        if source.is_group(group):
            for name in source.list(group, ObjectType.CONFIG):
                found.setdefault(name, _description(source.place(f"{group}/{name}.yaml")))
    return found


def _description(path: Path) -> str:
    """The comment at the top of a file, up to the end of its first sentence or the command that it gives."""
    described: list[str] = []
    for line in read_text(path).splitlines():
        words = line.removeprefix("#").strip()
        if not line.startswith("#") or words.startswith("python -m"):
            break
        if not words.startswith("@"):
            described.append(words)
    text = " ".join(described).split("   ")[0]
    return text.split(". ")[0].rstrip(".")


def _defaults(root: Path) -> dict[str, str]:
    path = root / "conf" / "train.yaml"
    entries = parse_yaml(path, read_text(path))["defaults"]
    return {group: name for entry in entries if isinstance(entry, dict) for group, name in entry.items() if name}


def _section(group: str, choices: dict[str, str], default: str | None) -> str:
    lines = [f"{group}: {_GROUPS[group]}" if group in _GROUPS else group]
    column = max(map(len, choices)) + 4
    for name, words in choices.items():
        words += " (default)" if name == default else ""
        wrapped = textwrap.wrap(words, WIDTH - column) or [""]
        lines.append(f"  {name:<{column - 2}}{wrapped[0]}".rstrip())
        lines += [" " * column + line for line in wrapped[1:]]
    return "\n".join(lines)
