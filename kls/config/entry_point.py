"""What all entry points share: their parser, one line for a mistake at their end, and a type of argument."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from kls.errors import UserError
from kls.records.escape import printable, shortened, without_credentials

LONGEST_LINE = 800  # characters of a message


def parser(module: str, doc: str) -> argparse.ArgumentParser:
    """The parser of ``python -m <module>``, described by the text ``doc``, under the name that it was called by."""
    return argparse.ArgumentParser(
        prog=as_called(f"python -m {module}"),
        description=as_called(doc),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def as_called(text: str) -> str:
    """A text with the commands in it as ``kls train`` where the command under way was called so."""
    return re.sub(r"python -m kls\.(\w+)", r"kls \1", text) if sys.argv[0].startswith("kls ") else text


def reporting(main: Callable[[], object]) -> None:
    """Run an entry point; whatever goes wrong ends in one line on stderr and an exit status.

    1 is a mistake, or a fault of this project, and the line says which; 128 + n is signal n, as in shells.
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
        text = " ".join(str(error).split())[:500]
        _fail(f"unexpected {type(error).__name__}: {text}; this is a fault of kls: KLS_TRACEBACK=1 prints where", error)
    finally:
        _write_out()


def _fail(line: str, error: BaseException) -> NoReturn:
    if os.environ.get("KLS_TRACEBACK") == "1":
        print(without_credentials("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    sys.exit("\n".join(map(_cut, f"error: {printable(without_credentials(line))}".splitlines())))


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


def folder_path(text: str) -> Path:
    """For argparse: the path of a folder to read or to write to, that may be there or not."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("give a folder")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{shortened(text)}: its name must be UTF-8") from None
    return Path(text)
