"""What the entry points share: the way into Hydra, and an end that tells mistakes in one line."""

from __future__ import annotations

import argparse
import functools
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import OmegaConf

from kls.errors import UserError
from kls.escape import printable
from kls.new_folder import new_folder, parent_of
from kls.plugins.help_page import help_page
from kls.plugins.hydra_errors import told
from kls.plugins.single_run import Check, SingleRun
from kls.plugins.targets import WHITELIST, check_arguments
from kls.project import project_root
from kls.validation import validate

LONGEST_LINE = 800  # characters of a message

logging.raiseExceptions = False  # a full disk or a closed pipe costs lines of the log, not the run; workers import this

OmegaConf.register_resolver("new_folder", new_folder, use_cache=True, replace=True)


def run_hydra(task: Callable[[Any], Any], config_name: str, arguments: Sequence[str], check: Check = validate) -> None:
    """Let Hydra compose ``conf/<config_name>.yaml`` with the arguments and call the task.

    check: validates the settings of a single run before anything is made. Raises UserError for every mistake.
    """
    flags = _flags(arguments)
    if flags.help:
        print(help_page(sys.modules[task.__module__].__doc__ or "", config_name, flags.config_dir))
        return
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
        line = told(error, arguments) if isinstance(error, Exception) and not isinstance(error, UserError) else None
        if line is None:
            raise error from None
        raise UserError(line) from error


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


def reporting(main: Callable[[], None]) -> None:
    """Run an entry point; whatever goes wrong ends in one line on stderr and an exit status.

    1 is a mistake, or a fault of this project, which is told as such; 128 + n is signal n, as in shells.
    """
    try:
        main()
    except UserError as error:
        _fail(str(error), error)
    except KeyboardInterrupt as error:
        sys.exit(128 + getattr(error, "signal_number", signal.SIGINT))
    except BrokenPipeError:
        sys.exit(128 + 13)  # SIGPIPE, which Windows does not have
    except MemoryError as error:
        _fail(f"out of memory: {error}" if str(error) else "out of memory", error)
    except OSError as error:
        _fail(str(error), error)
    except Exception as error:
        said = " ".join(str(error).split())[:500]
        _fail(f"unexpected {type(error).__name__}: {said}; this is a fault of kls: KLS_TRACEBACK=1 prints where", error)
    finally:
        _write_out()


def _fail(line: str, error: BaseException) -> NoReturn:
    if os.environ.get("KLS_TRACEBACK") == "1":
        traceback.print_exception(error)
    sys.exit("\n".join(map(_cut, f"error: {printable(line)}".splitlines())))


def _cut(line: str) -> str:
    """A line of bounded length: its beginning, and its end, which may say what would be right."""
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 :]}"


def _write_out() -> None:
    """Write out what was printed. Where nobody reads it any more, it goes nowhere."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            sys.exit(f"error: standard output: {error}")
