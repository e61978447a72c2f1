"""What the process of a sweep holds does not grow with its trials: memory but little, open files not at all."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_sweeps import SCRIPT, TINY, record_of, trials_of

from kls.records import names

AT = (500, 1000, 2000, 5000)  # runs that have ended
KIB_A_RUN = 5  # of memory, at most; none was measured after all trials had been asked for


def held(pid: int) -> tuple[int, int]:
    """KiB of memory and open files of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]), len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into /proc")
def test_five_thousand_trials(cifar_root: Path, tmp_path: Path) -> None:
    steps = ("model.hidden=[10]", "data.n_train=200", "data.n_val=100", "data.n_test=100", "evaluation.n_train=100")
    search = ("lam=tag(log,interval(1e-5,1e-1))", f"trials={AT[-1]}", "sampler=random", "hydra.sweep.dir=sweep")
    found: list[tuple[int, int]] = []
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, str(SCRIPT), "--multirun", *TINY, *steps, *search]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            time.sleep(0.1)
            if len(found) < len(AT) and _has_ended(tmp_path / "sweep" / "search" / str(AT[len(found)] - 1)):
                found.append(held(process.pid))
    assert process.returncode == 0, (tmp_path / "log").read_text()[-3000:]
    assert [trial.number for trial in trials_of(tmp_path / "sweep", "search")] == list(range(AT[-1]))
    assert record_of(tmp_path / "sweep")["status"] == names.FINISHED
    memory, files = zip(*found, strict=True)
    assert max(files[1:]) <= files[0] + 5, files
    assert memory[-1] - memory[0] < KIB_A_RUN * (AT[-1] - AT[0]), memory


def _has_ended(run: Path) -> bool:
    return (run / names.HYDRA_OVERRIDES).exists()
