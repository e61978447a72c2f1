"""A small learnable data set in the layout of CIFAR-10, and a run that was trained on it."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # tests run side by side

import kls  # noqa: F401  # first: it chooses the BLAS kernels before NumPy is loaded, as in every process of kls

# isort: split
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.register_assert_rewrite("entry_points", "html_page", "small_sweeps")  # their assertions tell what differs

# isort: split
from entry_points import SMALL, trained
from interrupted_training import interrupted
from made_up_cifar10 import NAMES

RECORDS = 10_000

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background jobs, and all that they start
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):  # which nohup has ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def cifar_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data root with CIFAR-10's six files, and KLS_DATA pointing at it; each class is a faint picture under noise."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "cifar-10-batches-bin"
    folder.mkdir()
    rng = np.random.default_rng(0)
    means = rng.integers(0, 36, (10, 3072), dtype=np.uint8)
    noise = rng.integers(0, 220, (RECORDS, 3072), dtype=np.uint8)
    for number, name in enumerate(NAMES):
        labels = rng.integers(0, 10, RECORDS, dtype=np.uint8)
        pixels = np.roll(noise, 500 * number, axis=1) + means[labels]
        np.column_stack([labels, pixels]).tofile(folder / f"{name}.bin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KLS_DATA", str(root))
        yield root
    shutil.rmtree(root)


@pytest.fixture(scope="session")
def finished_run(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run with the settings SMALL; tests that change it must copy it first."""
    return trained(tmp_path_factory.mktemp("finished"), *SMALL)


@pytest.fixture(scope="session")
def _stopped_run(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return interrupted(tmp_path_factory.mktemp("stopped"), 17, *SMALL)


@pytest.fixture
def stopped(_stopped_run: Path, tmp_path: Path) -> Path:
    """A run with the settings SMALL that stands at step 17 of 40, under outputs/ in tmp_path."""
    return Path(shutil.copytree(_stopped_run, tmp_path / "outputs" / "day" / "time"))
