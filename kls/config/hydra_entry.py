"""The way of the entry points into Hydra."""

from __future__ import annotations

import argparse
import functools
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import OmegaConf

from kls.config.help_page import help_page
from kls.config.hydra_errors import mistake
from kls.config.new_folder import new_folder, parent_of
from kls.config.own_configs import check_folder
from kls.config.project import project_root
from kls.config.single_run import Check, SingleRun
from kls.config.targets import WHITELIST, check_arguments
from kls.config.validation import validate
from kls.errors import UserError

logging.raiseExceptions = False  # a full disk or a closed pipe costs lines of the log, not the run; workers import this

OmegaConf.register_resolver("new_folder", new_folder, use_cache=True, replace=True)


def run_hydra(
    task: Callable[[Any], Any], config_name: str, arguments: Sequence[str], doc: str, check: Check = validate
) -> Path | None:
    """Let Hydra compose ``conf/<config_name>.yaml`` with the arguments and call the task.

    doc: what --help begins with. check: validates the settings of a single run before anything is made.
    Returns the folder of the run or sweep, None where nothing was run. Raises UserError for every mistake.
    """
    flags = _flags(arguments)
    own = Path(flags.config_dir) if flags.config_dir is not None else None
    if own is not None:
        check_folder(own)
    if flags.help:
        print(help_page(doc, config_name, own))
        return None
    shown_only = flags.cfg or flags.info or flags.hydra_help or flags.shell_completion
    OmegaConf.register_resolver("new_folder", _named_folder if shown_only else new_folder, use_cache=True, replace=True)
    run = SingleRun(check, list(arguments))

    @functools.wraps(task)
    def guarded(config: Any) -> Any:
        try:
            return task(config)
        except Exception as error:
            if run.folder is None:  # a job of a sweep, whose launcher records it
                raise
            run.error = error
            sys.exit(1)  # unlike an exception, Hydra adds nothing to this

    sys.argv = ["kls-train" if shown_only and config_name == "train" else sys.argv[0], *arguments]  # for completion
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra prints no errors, but lets them pass
    conf = str(project_root() / "conf")
    try:
        with run.checked():
            hydra.main(config_path=conf, config_name=config_name, execution_whitelist=WHITELIST)(guarded)()
    except BaseException as raised:
        run.discard()
        error = run.error or raised
        if isinstance(error, UserError) or not isinstance(error, Exception):
            raise error from None
        line = mistake(error, arguments, own)
        if line is None:
            raise error from None
        raise UserError(line) from error
    return run.results


def _named_folder(root: str, name: Any, day: str, time: str) -> str:
    """What ``new_folder`` gives first, for commands that show settings and make nothing."""
    return str(parent_of(root, name, day) / time)


class _Flags(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help shows what can be given")


def _flags(arguments: Sequence[str]) -> argparse.Namespace:
    """The flags of Hydra's command line. Raises UserError for one that there is not, or that is not for here."""
    parser = get_args_parser()
    parser.__class__ = _Flags
    flags = parser.parse_intermixed_args(list(arguments))
    if flags.experimental_rerun is not None:
        raise UserError("--experimental-rerun: go on with a run by resume=FOLDER")
    if flags.config_path is not None:
        raise UserError("--config-path: your own settings are added to this project's by --config-dir DIR")
    check_arguments(flags.overrides)
    return flags
