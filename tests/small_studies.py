"""Small studies, in the test's process or in one of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from entry_points import DATA, Outcome, call

from kls.records import names
from kls.study import __main__ as entry

TINY = [
    *DATA, "model.hidden=[5]", "batch_size=50", "evaluation.n_train=200", "evaluation.every_steps=6",
    "optimizer.schedule.n_s=6", "optimizer.schedule.cycles=1", "hydra.launcher.n_jobs=1",
]  # fmt: skip
# 400 steps take about a quarter of a second; each of the five runs is trained alone.
LONG = [
    *DATA, "model.hidden=[30]", "batch_size=50", "evaluation.n_train=200", "evaluation.every_steps=200",
    "optimizer.schedule.n_s=200", "optimizer.schedule.cycles=1", "checkpoint_seconds=0.05",
    "hydra.launcher.n_jobs=1", "hydra.launcher.max_members=1",
]  # fmt: skip
CHECK = [*DATA, "model.hidden=[5]", "gradcheck.dimensions=10"]


def sweep(name: str, *overrides: str) -> dict[str, Any]:
    return {"name": name, "what": "seeds", "folder": name, "sweep": "seeds", "overrides": list(overrides)}


def gradients(name: str, **labels: Sequence[str]) -> dict[str, Any]:
    return {"name": name, "what": "gradients", "folder": name, "gradients": {k: list(v) for k, v in labels.items()}}


def write_study(cwd: Path, *steps: dict[str, Any]) -> None:
    content = {"title": "Mine", "asked": "What?", "steps": list(steps)}
    (cwd / "mine.yaml").write_text(json.dumps(content), encoding="utf-8")


def study_in(cwd: Path, *arguments: str) -> Outcome:
    return call(entry.main, ("mine.yaml", "--out", "out", *arguments), cwd)


def step_record(cwd: Path, step: str) -> dict[str, Any]:
    content = json.loads((cwd / "out" / "steps" / step / names.STEP).read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def quoted(arguments: Sequence[str]) -> list[str]:
    return [f"'{argument}'" if "[" in argument else argument for argument in arguments]


class Process:
    """python -m kls.study mine.yaml in a process of its own."""

    def __init__(self, cwd: Path, before: Callable[[], None] | None = None) -> None:
        """before: called in the process before it begins."""
        self.folder = cwd / "out" / "steps" / "long"
        self.log = (cwd / "log.txt").open("a+")
        command = [sys.executable, "-m", "kls.study", "mine.yaml", "--out", "out"]
        self.process = subprocess.Popen(command, cwd=cwd, stdout=self.log, stderr=subprocess.STDOUT, preexec_fn=before)

    def wait_for_checkpoints(self, n: int) -> None:
        end = time.monotonic() + 60.0
        while len(list(self.folder.glob(f"seeds/*/{names.LAST}"))) < n:
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < end, self.text()
            time.sleep(0.01)

    def send(self, number: int) -> int:
        """Send a signal and give the exit status."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(60.0)
        self.log.close()
        return status

    def text(self) -> str:
        return Path(self.log.name).read_text()
