"""Picks OpenBLAS's AVX-512 kernels on CPUs that the OpenBLAS in NumPy's wheel does not recognise.

OpenBLAS chooses its kernels when it is loaded, by the CPU's family. Before the mend in its pull request
6033 it takes AMD's family 26 (Zen 5) for one without AVX-512 and uses Haswell kernels; with
OPENBLAS_CORETYPE=SkylakeX the first layer's products run about 1.6 times as fast. The variable is set
only where NumPy has not been loaded, comes with its wheel's OpenBLAS, the CPU has the instructions, and
the user has set neither OPENBLAS_CORETYPE nor KLS_BLAS_KERNELS=default. Other kernels round otherwise.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from pathlib import Path

CORE_TYPE = "SkylakeX"
_NEEDED = {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}
_VARIABLE = "OPENBLAS_CORETYPE"


def choose() -> None:
    """Set OPENBLAS_CORETYPE for this process and those that it starts, where that is safe and helps."""
    if "numpy" in sys.modules or _VARIABLE in os.environ or os.environ.get("KLS_BLAS_KERNELS") == "default":
        return
    if unrecognised_cpu(_cpu_info()) and _wheel_of_numpy():
        os.environ[_VARIABLE] = CORE_TYPE


def unrecognised_cpu(info: str) -> bool:
    """Whether this text of /proc/cpuinfo tells of a Zen 5 core with all of the AVX-512 that SkylakeX has."""
    core = dict(line.split(":", 1) for line in info.split("\n\n")[0].splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in core.items()}
    zen5 = fields.get("vendor_id") == "AuthenticAMD" and fields.get("cpu family") == "26"
    return zen5 and set(fields.get("flags", "").split()) >= _NEEDED


def _cpu_info() -> str:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return ""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


def _wheel_of_numpy() -> bool:
    spec = importlib.util.find_spec("numpy")
    if spec is None or spec.origin is None:
        return False
    return any((Path(spec.origin).parents[1] / "numpy.libs").glob("libscipy_openblas*"))
