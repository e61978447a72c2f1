"""Which BLAS kernels are chosen, and where none may be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from entry_points import SMALL

from kls.blas_kernels import unrecognised_cpu

FLAGS = "fpu avx avx2 avx512f avx512dq avx512cd avx512bw avx512vl"


def cpu(vendor: str = "AuthenticAMD", family: int = 26, flags: str = FLAGS) -> str:
    core = f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel name\t: AMD: X\nflags\t: {flags}\n"
    return f"{core}\n{core}"


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (cpu(), True),
        (cpu(family=25), False),
        (cpu(vendor="GenuineIntel"), False),
        (cpu(flags=FLAGS.replace(" avx512vl", "")), False),
        ("", False),
    ],
)
def test_only_zen_5_with_all_its_instructions(info: str, expected: bool) -> None:
    assert unrecognised_cpu(info) is expected


CODE = """
import sys, os
from pathlib import Path
from kls import blas_kernels
os.environ.pop("OPENBLAS_CORETYPE", None)
os.environ.update({given})
blas_kernels._cpu_info = lambda: {info!r}
{between}
blas_kernels.choose()
print(os.environ.get("OPENBLAS_CORETYPE"))
"""


@pytest.mark.parametrize(
    ("between", "given", "expected"),
    [
        ("", {}, "SkylakeX"),
        ("import numpy", {}, "None"),
        ("", {"KLS_BLAS_KERNELS": "default"}, "None"),
        ("", {"OPENBLAS_CORETYPE": "Zen"}, "Zen"),
        ("blas_kernels._wheel_of_numpy = lambda: False", {}, "None"),
    ],
)
def test_the_variable_is_set_only_where_it_is_safe(between: str, given: dict[str, str], expected: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("KLS_", "OPENBLAS_CORE"))}
    code = CODE.format(between=between, given=given, info=cpu())
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == expected


def test_importing_the_package_imports_no_numpy() -> None:
    code = "import sys, kls; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


TRAINING = """
import os, sys
os.environ.pop("OPENBLAS_NUM_THREADS", None)
import kls.train
from kls.training import session
from threadpoolctl import threadpool_info
train = session.Session.run
def run(self, *arguments):
    train(self, *arguments)
    print([library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"])
session.Session.run = run
sys.argv = ["kls.train", *sys.argv[1:], "hydra.run.dir=run"]
kls.train.run()
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core has one thread anyway")
@pytest.mark.parametrize("threads", [1, 2])
def test_both_blas_libraries_take_the_threads_of_the_settings(threads: int, cifar_root: Path, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", TRAINING, *SMALL, f"threads={threads}"]
    out = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[0] == str([threads, threads])
