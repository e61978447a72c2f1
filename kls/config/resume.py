"""What ``resume=FOLDER`` goes on with: a run's own settings, or the overrides that a sweep began with.

Nothing else in a folder is obeyed, since somebody else may have written it: no class, callback, log file or path, and
above all no record of Hydra's. Where data are read from, the command line says, or the default of data.root.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kls.config.flat_settings import differences, flatten, shown
from kls.config.settings import Settings
from kls.config.validation import validate
from kls.errors import DamageError, UserError
from kls.records import checked, names
from kls.records.folders import refuse_links
from kls.records.run_folder import RunFolder
from kls.records.sweep_record import read_sweep

_MULTIRUN = ("--multirun", "-m")
_ROOT, _PATH = "data.root", "data.path"
_GROUPS = ("model", "optimizer", "data", "sweeps")  # whose values are names of files


def folder_to_resume(arguments: Sequence[str]) -> Path | None:
    """The folder that a command line names by resume=FOLDER, if it does. Raises UserError where that is no folder."""
    values = [unquoted(a.removeprefix("resume=")) for a in arguments if a.startswith("resume=")]
    if not values or values[-1] == "null":
        return None
    if not values[-1]:
        raise UserError("resume=: give the folder to go on with, or null")
    folder = Path(values[-1]).expanduser().absolute()
    refuse_links(folder)
    is_sweep, multirun = (folder / names.SWEEP).exists(), is_multirun(arguments)
    if is_sweep and not multirun:
        raise UserError(f"{folder}: is a sweep's folder; go on with it by --multirun resume={folder}")
    if not is_sweep and multirun and (folder / names.CONFIG).exists():
        raise UserError(f"{folder}: is a run's folder; go on with it by resume={folder}, without --multirun")
    return folder


def is_multirun(arguments: Sequence[str]) -> bool:
    return any(argument in _MULTIRUN for argument in arguments)


def settings_of_run(folder: Path, arguments: Sequence[str], root: str) -> Settings:
    """The settings that a run goes on with: its own, but for those that do not change what it computes.

    arguments: the command line; what the run was begun with may stand there again. root: the default of data.root.
    Raises UserError where there is no run, its settings are damaged, or others are asked for.
    """
    config = _config_of_run(folder)
    begun_with = _overrides_of_run(folder)
    flat = flatten(config)
    recorded_root, asked_root = flat.get(_ROOT), root
    if flat.get(_PATH) is not None and not any(argument.startswith(f"{_PATH}=") for argument in arguments):
        raise UserError(_own_file(folder, str(flat[_PATH])))
    for argument in arguments:
        places = argument.startswith((f"{_ROOT}=", f"{_PATH}="))
        if argument.startswith("resume=") or (argument in begun_with and not places):
            continue
        key, equals, text = argument.partition("=")
        if not equals or key not in flat or (key == _PATH and flat[_PATH] is None):
            raise UserError(
                f"{argument}: a run goes on with the settings it began with; beside resume=FOLDER stand only settings "
                "such as threads=2"
            )
        value = unquoted(text) if places else checked.parse_yaml(argument, text)
        recorded_root, asked_root = (value, value) if key == _ROOT else (recorded_root, asked_root)
        _set(config, key, value)
    if isinstance(recorded_root, str) and Path(recorded_root).expanduser() != Path(asked_root).expanduser():
        raise UserError(_other_root(folder, recorded_root, asked_root))
    _set(config, _ROOT, asked_root)
    settings = validate(config)
    changed = differences(_config_of_run(folder), settings.model_dump())
    if changed:
        raise UserError(f"{folder}: a run goes on with the settings it began with; changed: {'; '.join(changed)}")
    return settings


def sweep_arguments(folder: Path, arguments: Sequence[str], root: str) -> list[str]:
    """The command line that goes on with a sweep: its recorded overrides, then those given.

    Raises UserError where there is no sweep, or its record asks for more than settings and choices.
    """
    record = read_sweep(folder, restore=True)
    saved = record["overrides"]
    if not isinstance(saved, list) or not all(isinstance(override, str) for override in saved):
        raise DamageError(f"{folder / names.SWEEP}: its overrides are no list of texts")
    given = [argument for argument in arguments if not argument.startswith("resume=")]
    config_dir = record.get("config_dir")
    if config_dir and not any(argument.startswith(("--config-dir", "-cd")) for argument in given):
        raise UserError(f"{folder}: the sweep was begun with --config-dir {config_dir}; give it again")
    kept = []
    for override in saved:
        if override in given:
            continue
        if override.startswith(f"{_PATH}="):
            if any(argument.startswith(f"{_PATH}=") for argument in given):
                continue
            raise UserError(_own_file(folder, unquoted(override.removeprefix(f"{_PATH}="))))
        if override.startswith(f"{_ROOT}="):
            recorded = unquoted(override.removeprefix(f"{_ROOT}="))
            if any(argument.startswith(f"{_ROOT}=") for argument in given) or _same_path(recorded, root):
                continue
            raise UserError(_other_root(folder, recorded, root))
        _refuse_beyond_settings(override, folder)
        kept.append(override)
    return [*kept, *given, f"resume={quoted(folder)}", f"hydra.sweep.dir={quoted(folder)}"]


def quoted(text: str | Path) -> str:
    """A text as a value in Hydra's override language."""
    return "'" + re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), str(text)) + "'"


def unquoted(value: str) -> str:
    """The text of a value in Hydra's override language."""
    if len(value) < 2 or value[0] not in "'\"" or value[-1] != value[0]:
        return value
    return re.sub(rf"(\\+)({value[0]}|$)", lambda m: "\\" * (len(m[1]) // 2) + m[2], value[1:-1])


def _config_of_run(folder: Path) -> dict[str, Any]:
    """The settings of a run; damaged ones are set aside and restored from its last checkpoint."""
    run = RunFolder(folder)
    if not run.has(names.CONFIG):
        raise UserError(f"{folder}: no run to go on with there, it has no {names.CONFIG}")
    try:
        return run.read_config()
    except DamageError:
        for name in (names.LAST, names.PREVIOUS):
            if run.has(name):
                break
        else:
            raise
        config = checked.parse_yaml(folder / name, str(run.read_checkpoint(name).get("settings", np.array(""))))
        if not isinstance(config, dict):
            raise
        checked.set_aside(folder / names.CONFIG)
        run.write_config(config)
        return config


def _overrides_of_run(folder: Path) -> list[str]:
    """The command line that the run was begun with, to be recognised where it stands again; never to be followed."""
    try:
        found = checked.parse_yaml(folder, checked.read_text(folder / names.HYDRA_OVERRIDES))
    except (FileNotFoundError, DamageError):
        return []
    return [str(override) for override in found] if isinstance(found, list) else []


def _set(config: dict[str, Any], key: str, value: Any) -> None:
    *groups, name = key.split(".")
    for group in groups:
        config = config[group]
    config[name] = value


def _refuse_beyond_settings(override: str, folder: Path) -> None:
    key, equals, value = override.lstrip("+").partition("=")
    group = key.split("/")[0].split(".")[0]
    is_choice = "." not in key and group not in set(Settings.model_fields) - set(_GROUPS)
    dangerous = (
        not equals
        or not re.fullmatch(r"[a-z][\w.]*(/[\w/]+)?", key)
        or group in ("hydra", "resume")
        or "_target_" in override
        or re.search(r"\$\{[^}]*:", value)  # a resolver, which reads the environment or makes a folder
        or (is_choice and not re.fullmatch(r"[\w,()\[\] -]+", value))
    )
    if dangerous:
        raise UserError(
            f"{folder / names.SWEEP}: {shown(override)}: a recorded override may only set a setting or choose a file "
            "of conf/ or sweeps/; if you meant it, give it again on the command line"
        )


def _other_root(folder: Path, recorded: str, root: str) -> str:
    return (
        f"{folder}: its data were read from {recorded}, and would be read from {root} now; "
        f"say which by {_ROOT}={quoted(recorded)} or {_ROOT}={quoted(root)}"
    )


def _own_file(folder: Path, recorded: str) -> str:
    return f"{folder}: its data were read from {recorded}; say where they are by {_PATH}={quoted(recorded)}"


def _same_path(a: str, b: str) -> bool:
    return Path(a).expanduser() == Path(b).expanduser()
