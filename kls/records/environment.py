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

LIBRARIES = ("numpy", "scipy", "optuna", "hydra-core", "hydra-optuna-sweeper", "joblib")  # that can change a number


def versions() -> dict[str, Any]:
    """Versions of this project, of Python and of the libraries whose change can change a number."""
    return {
        "kls_version": kls.__version__,
        "git_commit": git_commit(Path(__file__).resolve().parents[2]),
        "python_version": platform.python_version(),
        **{f"{name.replace('-', '_')}_version": version(name) for name in LIBRARIES},
    }


def git_commit(checkout: Path) -> str | None:
    """The commit that is checked out in a folder; None where it is no checkout of git."""
    try:
        git = checkout / ".git"
        if git.is_file():  # of a worktree
            git = (checkout / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()).resolve()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        common = git / (git / "commondir").read_text().strip() if (git / "commondir").is_file() else git
        if (common / name).is_file():
            return (common / name).read_text(encoding="utf-8").strip()
        packed = (common / "packed-refs").read_text(encoding="utf-8").splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)
    except (OSError, UnicodeDecodeError):
        return None


@lru_cache(maxsize=1)
def describe() -> dict[str, Any]:
    """Versions, CPU and BLAS as flat keys."""
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    blas: dict[str, Any] = min(pools, key=lambda pool: "numpy" not in pool["filepath"], default={})  # not SciPy's
    return {
        **versions(),
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
