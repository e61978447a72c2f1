"""The command kls: the project's entry points as subcommands."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Sequence

import kls
from kls.config import completion
from kls.config.entry_point import reporting
from kls.errors import UserError
from kls.records.escape import shortened

GROUPS = {
    "Train": {
        "train": ("kls.train", "train a network"),
        "sweep": ("kls.train", "train many: a search of sweeps/, or a grid of lists (train --multirun)"),
        "study": ("kls.study.__main__", "repeat a whole published study, or run your own, with a report"),
        "gradcheck": ("kls.gradcheck", "compare a network's gradients with central differences"),
    },
    "Look": {
        "runs": ("kls.list_runs", "list the sweeps and runs that are there, newest first"),
        "aggregate": ("kls.aggregate", "tables and pictures of many runs, averaged over seeds"),
        "compare": ("kls.compare", "differences of groups of runs, with intervals"),
        "report": ("kls.report.__main__", "a page on any runs, to keep, print or send"),
        "evaluate": ("kls.evaluate", "a trained run: accuracy of every split and class, confusion matrix"),
        "export": ("kls.export.__main__", "hand runs to MLflow"),
    },
    "Measure": {"bench": ("kls.bench.__main__", "this machine's speed, beside PyTorch's and JAX's")},
}
COMMANDS = {name: module for group in GROUPS.values() for name, (module, _) in group.items()}

_SHOW = ("--cfg", "-c", "--info", "-i", "-sc", "--shell-completion")  # of Hydra, which takes one such flag
_USAGE = """usage: kls COMMAND ...

Hyperparameter sweeps for K-layer fully connected networks in NumPy.

{commands}

kls COMMAND --help      what the command does, and its options
kls --version           the version
kls --completion SHELL  a script that completes these commands in bash, zsh or fish: eval "$(kls --completion bash)"
"""


def entry(command: str) -> Callable[[], None]:
    """The entry point behind a command. Raises UserError if there is none."""
    if command not in COMMANDS:
        close = difflib.get_close_matches(command[:100], COMMANDS, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(COMMANDS)}"
        raise UserError(f"kls {shortened(command)}: there is no such command; {hint}")
    main: Callable[[], None] = importlib.import_module(COMMANDS[command]).main
    return main


def usage() -> str:
    """The page of kls --help."""
    parts = []
    for group, commands in GROUPS.items():
        parts.append("\n".join([f"{group}:", *(f"  {name:<11}{words}" for name, (_, words) in commands.items())]))
    return _USAGE.format(commands="\n\n".join(parts)).strip()


def run(arguments: Sequence[str]) -> None:
    """The work of the console script, with exceptions."""
    match list(arguments):
        case [] | ["-h" | "--help", *_]:
            print(usage())
        case ["--version", *_]:
            print(f"kls {kls.__version__}")
        case ["--completion", *rest]:
            print(completion.script(" ".join(rest)))
        case [completion.QUERY, *rest]:
            print("\n".join(completion.candidates(" ".join(rest), tuple(COMMANDS), entry)))
        case [command, *rest]:
            main = entry(command)
            multirun = ["--multirun"] if command == "sweep" and not {*_SHOW, "--multirun", "-m"} & {*rest} else []
            sys.argv = [f"kls {command}", *multirun, *rest]
            main()


def main() -> None:
    """Console script ``kls``, and ``python -m kls``."""
    reporting(lambda: run(sys.argv[1:]))


if __name__ == "__main__":
    main()
