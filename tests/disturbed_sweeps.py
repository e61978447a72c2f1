"""Sweeps in processes of their own that can be disturbed and resumed, and what differs between two of them.

A sweep has twenty trials in two populations of ten, six trials by TPE between the best of them,
    and the best again with
three seeds. It is disturbed in a process of its own, resumed until it ends, and compared with one in one go.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from entry_points import DATA, Array, arrays_of, metrics_of
from small_sweeps import SCRIPT, stages_argument, trials_of

from kls.records import names

LAMS = [round(10 ** (-4 + i / 8), 7) for i in range(20)]
COMMON = (
    *DATA, "hydra.sweep.dir=sweep", "model.hidden=[20]", "batch_size=50", "evaluation.n_train=200",
        "evaluation.every_steps=50",
    "optimizer.schedule.n_s=50", "optimizer.schedule.cycles=1", "checkpoint_seconds=0.05", "plots=false",
    "max_failures=0",
)  # fmt: skip
LAUNCHERS = {
    "population": ("hydra.launcher.n_jobs=2",),
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "basic": ("hydra/launcher=basic",),
}
STAGES = ("a", "b", "c")
LONGEST = 120.0  # seconds that a process may take
SCORES = ("loss", "cost", "accuracy")


def stages(nan: bool = False) -> str:
    """The sweep's stages; ``nan`` makes one trial of the first diverge."""
    lams = [*LAMS[:-1], 1e30] if nan else LAMS
    return stages_argument(
        f"name:a,sampler:grid,params:{{lam:{{values:[{','.join(map(str, lams))}]}}}}",
        "name:b,sampler:tpe,trials:6,batch:3,params:{lam:{narrow:{from:a,rule:range_of_best,k:5},scale:log}}",
        "name:c,confirm:{from:b,seeds:3}",
    )


@dataclass
class Sweep:
    """A sweep in the folder ``cwd``/sweep, one process after the other."""

    cwd: Path
    launcher: str = "population"
    nan: bool = False
    settings: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    recoveries: list[float] = field(default_factory=list)  # seconds from each resume to the first new step
    again: int = 0  # finished runs that were trained again
    process: subprocess.Popen[bytes] | None = None

    def search(self) -> str:
        """The argument that says what is searched."""
        return stages(self.nan)

    @property
    def folder(self) -> Path:
        return self.cwd / "sweep"

    @property
    def log(self) -> Path:
        return self.cwd / "log.txt"

    def arguments(self) -> list[str]:
        """Of the command that begins it, or goes on with it."""
        arguments = [*COMMON, *LAUNCHERS[self.launcher], *self.settings, self.search()]
        if any((self.folder / name).exists() for name in (names.SWEEP, f".{names.SWEEP}.copy")):
            arguments.append("resume=sweep")
        return arguments

    def start(self, largest_file: int | None = None) -> None:
        """Begin, or go on; ``largest_file``: bytes, beyond which a write fails as on a full disk."""
        arguments = self.arguments()
        self._before, self._since, self._recovered = self.checkpoints(), time.monotonic(), not self.checkpoints()
        self._done = self.finished()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(SCRIPT), "--multirun", *arguments],
                cwd=self.cwd,
                start_new_session=True,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self.environment,
                preexec_fn=partial(_limit_files, largest_file) if largest_file else None,
            )

    def checkpoints(self) -> dict[Path, int]:
        """When each run's checkpoint was last written."""
        found = {}
        for path in self.folder.glob(f"*/*/{names.LAST}"):
            with suppress(OSError):
                found[path] = path.stat().st_mtime_ns
        return found

    def finished(self) -> dict[Path, int]:
        """Checkpoints of the runs that have finished."""
        return {path: at for path, at in self.checkpoints().items() if _status(path.parent) == names.FINISHED}

    def running(self) -> bool:
        assert self.process is not None
        if not self._recovered and self.checkpoints() != self._before:
            self._recovered = True
            self.recoveries.append(time.monotonic() - self._since)
        return self.process.poll() is None

    def wait_until(self, condition: Callable[[], object], seconds: float = LONGEST) -> bool:
        """Whether the condition came true before the process ended."""
        end = time.monotonic() + seconds
        while self.running():
            if condition():
                return True
            assert time.monotonic() < end, self.text()[-2000:]
            time.sleep(0.01)
        return False

    def begun(self, n: int) -> bool:
        """Whether ``n`` runs have a checkpoint."""
        return len(self.checkpoints()) >= n

    def end(self) -> int:
        """Wait for the process's end; gives its exit status."""
        assert self.process is not None
        self.wait_until(lambda: False)
        now = self.checkpoints()
        self.again += sum(now.get(path) != at for path, at in self._done.items())
        with suppress(ProcessLookupError):  # workers that outlived it
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()

    def finish(self, attempts: int = 4) -> None:
        """Go on until the sweep has ended well."""
        for _ in range(attempts):
            self.start()
            if self.end() == 0:
                return
        raise AssertionError(self.text()[-3000:])

    def workers(self) -> list[int]:
        """Process ids of the living worker processes."""
        assert self.process is not None
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
                if (
                    int(parent) == self.process.pid
                    and state != "Z"
                    and b"LokyProcess" in (path / "cmdline").read_bytes()
                ):
                    found.append(int(path.name))
            except (OSError, ValueError):  # it has ended meanwhile
                continue
        return found

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kill(self, victim: str, rng: random.Random) -> bool:
        """kill -9 of the controller, of a worker or of them all; whether there was one."""
        assert self.process is not None
        if victim == "worker":
            self.wait_until(self.workers)
        pids = self.workers() if victim == "worker" else [self.process.pid]
        if not self.running() or not pids:
            return False
        with suppress(ProcessLookupError):
            if victim == "group":
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                os.kill(rng.choice(pids), signal.SIGKILL)
        return True


def _limit_files(largest: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))


def _status(run: Path) -> str | None:
    try:
        return metrics_of(run).get(names.STATUS)
    except (OSError, ValueError):
        return None


def differences(got: Path, expected: Path, stages: Sequence[str] = STAGES) -> list[str]:
    """What two sweeps' runs and trials have that is not the same: of runs every number, to the last bit."""
    found = []
    for stage in stages:
        runs, others = (
            {path.name: path for path in (folder / stage).iterdir() if path.name.isdecimal()}
            for folder in (got, expected)
        )
        if runs.keys() != others.keys():
            found.append(f"{stage}: runs {sorted(runs)}, not {sorted(others)}")
        for name in sorted(runs.keys() & others.keys(), key=int):
            found += [f"{stage}/{name}: {what}" for what in _run_differences(runs[name], others[name])]
        tables = [
            [(t.number, t.state, t.params, t.values) for t in trials_of(folder, stage)] for folder in (got, expected)
        ]
        if tables[0] != tables[1]:
            found.append(f"{stage}: trials")
    return found


def _run_differences(got: Path, expected: Path) -> Iterator[str]:
    scores = [
        {key: value for key, value in metrics_of(run).items() if key.endswith(SCORES) or key in (names.STATUS, "steps")}
        for run in (got, expected)
    ]
    if scores[0] != scores[1]:
        yield names.METRICS
    for name in (names.HISTORY, names.LAST, names.BEST):
        if not (got / name).exists() or not (expected / name).exists():
            if (got / name).exists() != (expected / name).exists():
                yield f"{name} is there in one alone"
        elif name == names.HISTORY:
            if (got / name).read_bytes() != (expected / name).read_bytes():
                yield name
        else:
            a, b = (_arrays(run, name) for run in (got, expected))
            if a is None or b is None or a.keys() != b.keys() or any(a[k].tobytes() != b[k].tobytes() for k in a):
                yield name


def _arrays(run: Path, name: str) -> dict[str, Array] | None:
    """A checkpoint, but for times; None where it is damaged."""
    try:
        return {key: value for key, value in arrays_of(run, name).items() if key not in names.TIMES}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def undisturbed(cwd: Path, launcher: str = "population", nan: bool = False, settings: tuple[str, ...] = ()) -> Sweep:
    """The sweep in one go."""
    cwd.mkdir(parents=True, exist_ok=True)
    sweep = Sweep(cwd, launcher, nan, settings)
    sweep.start()
    assert sweep.end() == 0, sweep.text()[-3000:]
    return sweep


def error_lines(sweep: Sweep, since: int) -> list[str]:
    """What the sweep's processes have said of errors from a place of the log on; no traceback may be there."""
    text = sweep.text()[since:]
    assert "Traceback" not in text, text[-3000:]
    return [line for line in text.splitlines() if line.startswith("error: ")]
