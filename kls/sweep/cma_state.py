"""The state of CMA-ES in a study's database, which Optuna pickles: read back as numbers alone, never as code."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from optuna.samplers import CmaEsSampler

from kls.errors import DamageError

# What the optimizers of cmaes and their arrays are made of; numpy.core is the name of NumPy 1.
_ALLOWED = {
    ("cmaes._cma", "CMA"),
    ("cmaes._sepcma", "SepCMA"),
    ("cmaes._cmawm", "CMAwM"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}


class _NumbersAlone(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of it")
        return super().find_class(module, name)


def load(state: bytes) -> Any:
    """The optimizer. Raises DamageError where the bytes hold anything else."""
    try:
        optimizer = _NumbersAlone(io.BytesIO(state)).load()
        if not type(optimizer).__module__.startswith("cmaes."):
            raise pickle.UnpicklingError("it is no optimizer")
    except Exception as error:  # damaged bytes raise many kinds
        raise DamageError(f"study.db: the state of CmaEsSampler cannot be read ({error})") from None
    return optimizer


class CmaEs(CmaEsSampler):
    """Optuna's sampler, which unpickles only what `load` does."""

    def sample_relative(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        with _restricted():
            return super().sample_relative(*arguments, **named)


@contextmanager
def _restricted() -> Iterator[None]:
    module: Any = sys.modules[CmaEsSampler.__module__]
    original = module.pickle  # AttributeError: a version of Optuna that reads its states otherwise
    module.pickle = SimpleNamespace(dumps=original.dumps, loads=load)
    try:
        yield
    finally:
        module.pickle = original
