"""Repeat whole studies: their networks, searches and gradient checks, and a report on each.

    python -m kls.study all                       the five published studies on CIFAR-10, and an overview
    python -m kls.study straathof2019             one of them
    python -m kls.study questions                 what none of them could answer
    python -m kls.study all --smoke               everything in miniature on the embedded data
    python -m kls.study my_study.yaml             your own; the files of conf/study show how
    python -m kls.study mine --config-dir own     own/study/mine.yaml, with the sweeps and models of own/
    python -m kls.study all data.root=/data       with settings for all steps; a step's own settings win
    python -m kls.study --list                    what there is

A study's file in FOLDER/study/, given by its path, has FOLDER as its --config-dir, unless another one is given.
Steps that studies share are run once. The same command goes on after Ctrl-C, a kill or a power cut. Reports are
OUT/<study>/report.html and report.md, the overview OUT/report.html; once it is there, every study renews it. The runs
are in OUT/steps/.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kls.config.entry_point import folder_path, parser, reporting
from kls.config.own_configs import CONFIG_DIR, STUDY, check_folder
from kls.config.project import project_root
from kls.config.study_file import check_setting
from kls.data.sources import SOURCES
from kls.errors import UserError
from kls.records import names
from kls.records.escape import printable
from kls.records.lock import only_process
from kls.study.plan import ALL, describe, dry_run, find, known, plan
from kls.study.runner import Runner
from kls.training.stop_signal import stop_on_signals

OUT, OUT_SMOKE = Path("outputs/studies"), Path("outputs/studies_smoke")


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    ask = parser("kls.study", __doc__ or "")
    ask.add_argument("name", nargs="?", metavar="NAME", help="a study, all, or the path of a study's YAML file")
    ask.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="settings for all steps, such as threads=2")
    ask.add_argument(CONFIG_DIR, type=folder_path, metavar="FOLDER", help="with your own study/, sweeps/, model/, ...")
    ask.add_argument("--list", action="store_true", help="describe the studies (or the one of NAME), and stop")
    ask.add_argument("--smoke", action="store_true", help="every step in miniature, on the embedded data")
    ask.add_argument("--data", choices=tuple(SOURCES), default="cifar10", help="default: cifar10")
    ask.add_argument("--out", type=folder_path, help=f"folder to write to (default: {OUT}, with --smoke {OUT_SMOKE})")
    ask.add_argument("--dry-run", action="store_true", help="show what would be run, and stop")
    asked = ask.parse_intermixed_args(argv)
    if asked.name is None and not asked.list:
        ask.error("give the NAME of a study, all, or --list")
    return asked


def folder_of_study(name: str | None) -> Path | None:
    """FOLDER of the path FOLDER/study/x.yaml; None of any other name, and of a study of this project."""
    path = Path(name or "")
    own = path.parent.parent
    is_own = path.parent.name == STUDY and path.suffix in (".yaml", ".yml") and path.is_file()
    return own if is_own and own.resolve() != project_root() / "conf" else None


def run(argv: Sequence[str]) -> None:
    """The work of the entry point, with exceptions; exits with status 1 if a step has failed."""
    asked = arguments(argv)
    own = asked.config_dir or folder_of_study(asked.name)
    if own is not None:
        check_folder(own)
    out = asked.out or (OUT_SMOKE if asked.smoke else OUT)
    try:
        settings = [*([] if asked.smoke else [f"data={asked.data}"]), *map(check_setting, asked.settings)]
    except ValueError as error:
        raise UserError(str(error)) from None
    studies = known(own) if asked.name is None else find(asked.name, own)
    tasks = plan(studies, out, settings, asked.smoke, own)
    if asked.list or asked.dry_run:
        print(printable("\n\n\n".join(describe(study, tasks) for study in studies) if asked.list else dry_run(tasks)))
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be written to ({error.strerror}); give another --out") from None
    from kls.study.overview import write_overview
    from kls.study.page import write_study_page

    with stop_on_signals(), only_process(out), Runner(tasks) as runner:
        for study in studies:
            for step in study.steps:
                runner.carry_out(step.folder)
            runner.write(study.key, partial(write_study_page, study, out))
        if asked.name == ALL or (out / "report.html").exists():
            every = {study.key: study for study in [*known(own), *studies]}
            begun = [s for s in every.values() if any((out / names.STEPS / step.folder).is_dir() for step in s.steps)]
            runner.write("overview", partial(write_overview, begun, out))
    if runner.failures:
        sys.exit("\n".join(f"error: {line}" for line in runner.failures))


def main() -> None:
    """Entry point of ``python -m kls.study``."""
    reporting(lambda: run(sys.argv[1:]))


if __name__ == "__main__":
    main()
