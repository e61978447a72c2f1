"""The machine and the libraries that a run was made with, for its record."""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import threadpoolctl

import kls


@lru_cache(maxsize=1)
def describe() -> dict[str, Any]:
    """Versions, CPU and BLAS as flat keys."""
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    blas: dict[str, Any] = min(pools, key=lambda pool: "numpy" not in pool["filepath"], default={})  # not SciPy's
    return {
        "kls_version": kls.__version__,
        "python_version": platform.python_version(),
        "numpy_version": version("numpy"),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "blas": f"{blas.get('internal_api', 'unknown')} {blas.get('version', '')}".strip(),
        "blas_kernels": blas.get("architecture", "unknown"),
        "blas_coretype": os.environ.get("OPENBLAS_CORETYPE"),  # set by kls.blas_kernels or the user, if at all
        "platform": platform.platform(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
