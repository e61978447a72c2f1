"""kls: hyperparameter sweeps for K-layer fully connected networks in NumPy.

From Python: `run` and `run_sweep` train, `load` gives a trained run that predicts, `runs` a table of all runs;
`KLayerClassifier` and `fit_population` are scikit-learn classifiers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kls import blas_kernels
from kls.errors import UserError

if TYPE_CHECKING:
    from kls.api.classifier import KLayerClassifier
    from kls.api.commands import run, run_sweep
    from kls.api.fit_population import fit_population
    from kls.api.tables import runs
    from kls.api.trained_run import Run, load

__version__ = "0.1.0"
__all__ = ["KLayerClassifier", "Run", "UserError", "fit_population", "load", "run", "run_sweep", "runs"]

blas_kernels.choose()  # here, since it must come before anything imports NumPy

_HOMES = {
    "KLayerClassifier": "classifier",
    "Run": "trained_run",
    "fit_population": "fit_population",
    "load": "trained_run",
    "run": "commands",
    "run_sweep": "commands",
    "runs": "tables",
}


def __getattr__(name: str) -> Any:
    """What is imported when it is first asked for, since it brings libraries that take long to load."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"kls.api.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
