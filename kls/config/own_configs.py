"""A user's own folder of settings, that of --config-dir, beside conf/ and sweeps/ of this project.

FOLDER/model/x.yaml is model=x, and so for every group; FOLDER/sweeps/x.yaml is sweeps=x, FOLDER/experiment/x.yaml
+experiment=x, and FOLDER/study/x.yaml the study x. What is told here is what a line about a mistake adds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kls.config.project import project_root
from kls.errors import UserError
from kls.records.checked import LARGEST_YAML, parse_yaml, read_text
from kls.records.folders import require_folder

CONFIG_DIR = "--config-dir"
EXPERIMENT, STUDY, SWEEPS = "experiment", "study", "sweeps"
GLOBAL = (EXPERIMENT, SWEEPS)  # whose files set what they like
HEADER = "# @package _global_"


def check_folder(own: Path) -> None:
    """Raises UserError where there is no such folder, or a file of it has the name of another one of this project."""
    require_folder(own, "--config-dir ")
    for name, path in _project_files():
        mine = own / name
        if mine.is_file() and mine.read_bytes() != path.read_bytes():
            raise UserError(f"{mine}: this project has a {name} already, and takes that; give yours another name")


def check_header(path: Path, text: str) -> None:
    """Raises UserError where the text of a file of sweeps/ or experiment/ does not begin as it must."""
    if not re.match(r"\s*#\s*@package\s+_global_\s*(\n|$)", text):
        raise UserError(f"{path}: its first line must be {HEADER!r}, since it sets more than one group")


def check_file(path: Path, group: str, text: str, content: Mapping[Any, Any]) -> None:
    """Raises UserError where a file of a user's folder, with its text and content, is not what its place says."""
    if group in GLOBAL:
        check_header(path, text)
        return
    defaults = content.get("defaults")
    if isinstance(defaults, Sequence) and not isinstance(defaults, str) and path.stem in defaults:
        raise UserError(f"{path}: its defaults name itself; give it another name")
    last = group.rpartition("/")[2]
    if last in content:
        raise UserError(f"{path}: what stands there is of {last} already; leave out the line '{last}:' and its indent")
    bases = {base.stem: set(_content(base)) - {"defaults"} for base in places(group)[0].glob("_*.yaml")}
    if bases and "defaults" not in content and not any(keys <= content.keys() for keys in bases.values()):
        missing = sorted(min(bases.values(), key=len) - content.keys())
        wanted = f"'defaults: [{', '.join(bases)}, _self_]'" if len(bases) == 1 else "a list of defaults"
        example = next(path for path in sorted(places(group)[0].glob("[!_]*.yaml")))
        raise UserError(f"{path}: has no {', '.join(missing)}; begin it with {wanted}, as {example} does")


def places(group: str, own: Path | None = None) -> list[Path]:
    """The folders that the choices of a group, the sweeps or the studies are looked for in."""
    root = project_root()
    folders = [root / SWEEPS if group == SWEEPS else root / "conf" / group]
    return [*folders, *([own / group] if own is not None else [])]


def choices(group: str, own: Path | None = None) -> dict[str, Path]:
    """The files of a group by the names that choose them, those of this project first."""
    found: dict[str, Path] = {}
    for folder in places(group, own):
        for path in sorted(folder.glob("[!_.]*.yaml")):
            found.setdefault(path.stem, path)
    return found


def where_to_add(group: str, name: str, own: Path | None) -> str:
    """Which folders were searched, and how to add a choice of that name, or what is wrong with the place of one."""
    searched = " and ".join(str(folder) for folder in places(group, own) if folder.is_dir()) or "no folder"
    plain = re.fullmatch(r"[\w-]{1,80}", name) is not None
    name = name if plain else "x"
    means = {STUDY: f"the study {name}", EXPERIMENT: f"+{EXPERIMENT}={name}"}.get(group, f"{group}={name}")
    begin = "" if own else "--config-dir FOLDER: "
    hint = f"{begin}{own or 'FOLDER'}/{group}/{name}.yaml is {means}"
    return f"searched: {searched}; {(plain and _misplaced(group, name, own)) or hint}"


def _misplaced(group: str, name: str, own: Path | None) -> str:
    """What is to be done with a file of that name that lies where nothing is looked for; "" if there is none."""
    base = own or Path()
    inner = _folders_in(base)
    folders = [base / group, *(folder / group for folder in inner), base, *inner]
    there = (folder / f"{name}{suffix}" for folder in folders for suffix in (".yaml", ".yml"))
    found = next((path for path in there if path.is_file()), None)
    if found is None:
        return ""
    if found.as_posix().endswith(f"/{group}/{name}.yaml") or found == Path(group, f"{name}.yaml"):
        return f"{found} is there: give --config-dir {found.parents[len(Path(group).parts)]}"
    right = f"{own or 'FOLDER'}/{group}/{name}.yaml"
    return f"{found} is there: it must be {right}" + ("" if own else ", with --config-dir FOLDER")


def _folders_in(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return []


def _project_files() -> Iterator[tuple[str, Path]]:
    """Each with its place in a user's folder."""
    root = project_root()
    for path in sorted((root / "conf").rglob("*.yaml")):
        yield path.relative_to(root / "conf").as_posix(), path
    for path in sorted((root / SWEEPS).glob("*.yaml")):
        yield f"{SWEEPS}/{path.name}", path


def _content(path: Path) -> dict[str, Any]:
    content = parse_yaml(path, read_text(path, LARGEST_YAML))
    return content if isinstance(content, dict) else {}
