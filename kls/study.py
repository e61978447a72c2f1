"""Repeat whole studies: their networks, searches and gradient checks, and a report on each.

    python -m kls.study all                       the five published studies on CIFAR-10, and an overview
    python -m kls.study straathof2019             one of them
    python -m kls.study questions                 what none of them could answer
    python -m kls.study all --smoke               everything in miniature on the embedded data
    python -m kls.study my_study.yaml             your own; the files of conf/study show how
    python -m kls.study --list                    what there is

Steps that studies share are run once. The same command goes on after Ctrl-C, a kill or a power cut. Reports are
OUT/<study>/report.html and report.md, the overview OUT/report.html; once it is there, every study renews it. The runs
are in OUT/steps/.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from kls.config.entry_point import folder_path, reporting
from kls.config.project import project_root
from kls.errors import UserError
from kls.records.escape import printable
from kls.records.lock import only_process
from kls.studies import catalogue
from kls.studies.definition import Study
from kls.studies.plan import Task, Wish, plan
from kls.studies.progress import StudiesProgress, told_time
from kls.studies.reports import Reports
from kls.studies.runner import Runner
from kls.training.stop_signal import stop_on_signals

OUT, OUT_SMOKE = Path("outputs/studies"), Path("outputs/studies_smoke")
OVERVIEW = "report.html"


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    ask = argparse.ArgumentParser(
        prog="python -m kls.study", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ask.add_argument("name", nargs="?", metavar="NAME", help="a study, all, or the path of a study's YAML file")
    ask.add_argument("--list", action="store_true", help="describe the studies (or the one of NAME), and stop")
    ask.add_argument("--smoke", action="store_true", help="every step in miniature, on the embedded data")
    ask.add_argument("--data", choices=("cifar10", "synthetic"), default="cifar10", help="default: cifar10")
    ask.add_argument("--out", type=folder_path, help=f"folder to write to (default: {OUT}, with --smoke {OUT_SMOKE})")
    ask.add_argument("--dry-run", action="store_true", help="show what would be run, and stop")
    wish = ask.parse_args(argv)
    if wish.name is None and not wish.list:
        ask.error("give the NAME of a study, all, or --list")
    return wish


def run(argv: Sequence[str]) -> None:
    """The work of the entry point, with exceptions; exits with status 1 where a step has failed."""
    asked = arguments(argv)
    root = project_root()
    out = asked.out or (OUT_SMOKE if asked.smoke else OUT)
    wish = Wish(root, asked.data, asked.smoke, out, _cores())
    chosen = catalogue.known(root) if asked.name is None else [asked.name]
    studies = [study for name in chosen for study in catalogue.find(name, root)]
    tasks = plan(studies, wish)
    if asked.list:
        print(printable("\n\n\n".join(catalogue.describe(study, tasks) for study in studies)))
    elif asked.dry_run:
        print(printable(_dry_run(studies, tasks, wish)))
    else:
        _carry_out(studies, tasks, out, root if asked.name == catalogue.ALL or (out / OVERVIEW).exists() else None)


def _carry_out(studies: Sequence[Study], tasks: dict[str, Task], out: Path, overview_of: Path | None) -> None:
    """Run the tasks and write the reports; with the project's folder also the overview of its studies."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be written to ({error.strerror}); give another --out") from None
    with stop_on_signals(), only_process(out), StudiesProgress(tasks.values()) as progress:
        runner = Runner(tasks, progress)
        try:
            with Reports(out, progress.say) as reports:
                for study in studies:
                    for step in study.steps:
                        runner.carry_out(step.folder)
                    reports.study(study)
                if overview_of is not None:
                    reports.overview(catalogue.begun(overview_of, out))
        except KeyboardInterrupt:
            progress.say("stopped; the same command goes on from here")
            raise
        finally:
            runner.end()
    failures = [*runner.failures, *reports.failures]
    if failures:
        sys.exit("\n".join(f"error: {line}" for line in failures))


def _dry_run(studies: Sequence[Study], tasks: dict[str, Task], wish: Wish) -> str:
    owners = catalogue.shared(studies)
    lines = []
    for folder, task in tasks.items():
        said = f"about {told_time(task.seconds)}"
        lines.append(f"{folder}: {catalogue.contents(task)}, {said}; for {', '.join(owners[folder])}")
        lines += [f"  {command}" for command in task.commands]
    total = told_time(sum(task.seconds for task in tasks.values()))
    runs = sum(task.runs for task in tasks.values())
    lines.append(
        f"{len(tasks)} steps, {runs} runs, about {total} with {wish.cores} processes, as measured on one machine; "
        "yours may differ; nothing was run"
    )
    return "\n".join(lines)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """Entry point of ``python -m kls.study``."""
    reporting(lambda: run(sys.argv[1:]))


if __name__ == "__main__":
    main()
