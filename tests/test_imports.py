"""Who may import what: the numerical core NumPy alone, and the big libraries only where they are at home."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import kls

PACKAGE = Path(kls.__file__).parent
CORE = sorted(PACKAGE.glob("core/*.py"))
AT_HOME: dict[str, tuple[str, ...]] = {
    "hydra": ("config/", "sweep/", "train.py", "gradcheck.py"),
    "omegaconf": ("config/", "sweep/", "train.py", "gradcheck.py"),
    "optuna": ("sweep/",),
    "pandas": ("analysis/", "report/", "study/", "bench/", "api/", "data/table_file.py"),
    "mlflow": ("export/",),
    "sklearn": ("api/",),
    "submitit": ("engines/",),
    "ray": ("engines/",),
}


def imported(file: Path) -> set[str]:
    """Full names of the modules that a file imports anywhere in it, "from a import b" as "a.b"."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("file", CORE, ids=lambda file: file.name)
def test_the_core_imports_numpy_the_standard_library_and_itself(file: Path) -> None:
    allowed = sys.stdlib_module_names | {"numpy"}
    others = {name for name in imported(file) if name.split(".")[0] not in allowed}
    assert {name for name in others if not f"{name}.".startswith("kls.core.")} == set()


def test_the_core_was_found() -> None:
    names = {file.name for file in CORE}
    assert {"network.py", "population.py", "batches.py", "evaluation.py", "adam.py"} <= names
    assert "kls.core.parameter.Parameter" in imported(PACKAGE / "core" / "network.py")


@pytest.mark.parametrize("library", AT_HOME)
def test_libraries_are_imported_only_where_they_are_at_home(library: str) -> None:
    offenders = set()
    for file in PACKAGE.rglob("*.py"):
        place = file.relative_to(PACKAGE).as_posix()
        if any(name.split(".")[0] == library for name in imported(file)) and not place.startswith(AT_HOME[library]):
            offenders.add(place)
    assert offenders == set()


def test_loading_the_core_loads_no_other_library() -> None:
    """What the modules of kls.core pull in beyond NumPy, as a fresh interpreter sees it."""
    modules = ", ".join(f"kls.core.{file.stem}" for file in CORE if file.stem != "__init__")
    listed = "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = [
        set(
            subprocess.run(
                [sys.executable, "-c", f"import sys, {what}; {listed}"], capture_output=True, text=True, check=True
            ).stdout.split()
        )
        for what in ("numpy", modules)
    ]
    assert "numpy" in loaded[1]
    assert loaded[1] - loaded[0] - sys.stdlib_module_names == {"kls"}


FLOORS = (
    "core", "records", "data", "config", "plots", "training", "engines", "analysis", "report", "export", "sweep",
    "study", "bench", "api",
)  # fmt: skip
ENTRY_POINTS = {"__main__.py", "train.py", "evaluate.py", "gradcheck.py", "aggregate.py", "compare.py", "list_runs.py"}
BEFORE_NUMPY = {"__init__.py", "errors.py", "blas_kernels.py"}


def modules() -> dict[str, Path]:
    """All modules of the package by their full names."""
    found = {}
    for file in PACKAGE.rglob("*.py"):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def module_of(name: str, known: Collection[str]) -> str | None:
    """The module of this package that an imported name is, or lies in."""
    while name not in known and "." in name:
        name = name.rpartition(".")[0]
    return name if name in known else None


def test_nothing_lies_loose_at_the_root() -> None:
    assert {file.name for file in PACKAGE.glob("*.py")} == ENTRY_POINTS | BEFORE_NUMPY
    assert {file.parent.name for file in PACKAGE.glob("*/__init__.py")} == set(FLOORS)


def test_no_package_imports_one_above_it() -> None:
    known = modules()
    offenders = []
    for name, file in known.items():
        room = name.split(".")[1] if "." in name else ""
        for other in filter(None, (module_of(n, known) for n in imported(file) if n.startswith("kls."))):
            above = other.split(".")[1] if "." in other else ""
            if room in FLOORS and above in FLOORS and FLOORS.index(above) > FLOORS.index(room):
                offenders.append(f"{name} -> {other}")
            if room in FLOORS and f"{above}.py" in ENTRY_POINTS:
                offenders.append(f"{name} -> {other}")
    assert offenders == []


def test_no_circle_of_imports() -> None:
    """Nor one within functions, or for types alone."""
    known = modules()
    graph = {
        name: {m for n in imported(file) if (m := module_of(n, known)) and m not in (name, "kls")}
        for name, file in known.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError
