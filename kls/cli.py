"""What the entry points share: the way into Hydra, and mistakes told in one line."""

from __future__ import annotations

import contextlib
import difflib
import functools
import os
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kls.errors import UserError
from kls.escape import printable
from kls.project import project_root
from kls.records import names
from kls.settings import is_folder_name


def new_folder(root: str, name: Any, day: str, time: str) -> str:
    """Make and name a folder that nobody else has: root/<name or day>/<time>, with a number if that is taken.

    A name that leads elsewhere counts as none here; the settings are validated later, and refuse it.
    """
    parent = Path(root) / (name if is_folder_name(name) else day)
    parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, 10_000):
        folder = parent / (time if attempt == 1 else f"{time}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return str(folder)
    raise UserError(f"{parent}: has ten thousand folders of {time} already")


OmegaConf.register_resolver("new_folder", new_folder, use_cache=True, replace=True)


def run_hydra(task: Callable[[Any], Any], config_name: str, arguments: Sequence[str]) -> None:
    """Let Hydra compose ``conf/<config_name>.yaml`` with the arguments and call the task."""

    @functools.wraps(task)
    def guarded(config: Any) -> Any:
        try:
            return task(config)
        except (UserError, OmegaConfBaseException) as error:
            if not OmegaConf.is_missing(HydraConfig.get().job, "num"):
                raise  # a job of a sweep, whose launcher records it
            _discard(Path(HydraConfig.get().runtime.output_dir))
            sys.exit(f"error: {_told(error)}")  # unlike an exception, Hydra adds nothing to this

    sys.argv = [sys.argv[0], *arguments]
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # exceptions reach `reporting`, which tells them in a line
    try:
        hydra.main(config_path=str(project_root() / "conf"), config_name=config_name)(guarded)()
    except ValueError as error:
        if isinstance(error, OmegaConfBaseException) or not _raised_by_hydra(error):
            raise
        raise UserError(f"the command line cannot be understood: {error}") from None  # model=9, for example


def _raised_by_hydra(error: BaseException) -> bool:
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).startswith("hydra.")


def _discard(folder: Path) -> None:
    """Remove a run's folder in which nothing but Hydra's own records has been written yet, and what held it alone."""
    if not (folder / names.CONFIG).exists() and (folder / names.HYDRA).is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # others stand there
            for parent in folder.parents:
                if Path.cwd() / "outputs" in parent.parents:
                    parent.rmdir()


def reporting(main: Callable[[], None]) -> None:
    """Run an entry point; a user's mistake becomes one line on stderr and exit status 1, Ctrl-C 130."""
    try:
        main()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {printable(_told(error))}")
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt as stop:
        sys.exit(128 + getattr(stop, "signal_number", 2))


def _told(error: BaseException) -> str:
    if isinstance(error, UserError):
        return str(error)
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key = getattr(cause, "full_key", None)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("full_key:", "object_type="))]
    if "is not in struct" in str(cause) and key:
        return f"{key}: there is no such setting{_suggestion(str(key))}; see conf/ for those there are"
    missing = re.match(r"In .*: Could not find '([^']*)/([^'/]*)'", lines[0]) if lines else None
    if missing:
        group, name = missing.groups()
        options = [line for line in lines[1:] if " " not in line and not line.startswith("_")]
        return f"{group}={name}: there is no such choice; there are {', '.join(options)}"
    return f"{key}: {' '.join(lines)}" if key else " ".join(lines)


def _suggestion(key: str) -> str:
    root = project_root() / "conf"
    found: set[str] = set()
    for path in root.rglob("*.yaml"):
        if path.parent == root / "study":
            continue  # holds no settings
        group = ".".join(path.relative_to(root).parent.parts)
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        found |= {group} | _keys({k: v for k, v in content.items() if k not in ("defaults", "hydra")}, group)
    if key in found:
        return " with the choices made here"
    close = difflib.get_close_matches(key, sorted(found), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _keys(config: dict[str, Any], prefix: str) -> set[str]:
    found = set()
    for key, value in config.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        found |= {name} | (_keys(value, name) if isinstance(value, dict) else set())
    return found

