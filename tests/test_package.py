"""import kls: fast, typed, and with all its names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import kls


def python(code: str, *flags: str) -> str:
    command = [sys.executable, *flags, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_importing_it_loads_no_library() -> None:
    listed = "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    before, after = (set(python(f"import sys{more}; {listed}").split()) for more in ("", ", kls"))
    assert after - before - sys.stdlib_module_names == {"kls"}


def test_names_are_there_before_they_are_loaded() -> None:
    assert set(kls.__all__) <= set(dir(kls))
    assert [name for name in kls.__all__ if getattr(kls, name).__name__ != name] == []
    assert {getattr(kls, name).__doc__ is None for name in kls.__all__} == {False}
    with pytest.raises(AttributeError, match=r"^module 'kls' has no attribute 'nothing'$"):
        _ = kls.nothing
    assert (Path(kls.__file__).parent / "py.typed").is_file()


def test_no_module_hides_a_name() -> None:
    package = Path(kls.__file__).parent
    assert [name for name in kls.__all__ if (package / f"{name}.py").exists() or (package / name).exists()] == []


def test_the_kernels_are_chosen_before_numpy_is_loaded() -> None:
    chosen = "import sys, kls.blas_kernels as b; b.choose = lambda: print('numpy' in sys.modules)"
    assert python(f"{chosen}; del sys.modules['kls']; import kls; kls.load") == "False\n"


def test_without_scikit_learn_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import kls\n"
        "for name in ('KLayerClassifier', 'fit_population'):\n"
        "    try: getattr(kls, name)\n"
        "    except ImportError as error: print(error)\n"
        "print(kls.load.__name__)"
    )
    line, same, last = python(code).splitlines()
    assert line == same
    assert line.startswith("kls.KLayerClassifier needs scikit-learn: pip install 'kls[sklearn]' (")
    assert last == "load"
