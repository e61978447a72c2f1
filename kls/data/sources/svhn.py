"""SVHN: house numbers in photographs of streets, a digit a picture ("format 2"; Netzer et al. 2011).

Format: http://ufldl.stanford.edu/housenumbers/
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kls.data.download import Remote, official_files
from kls.data.examples import Examples
from kls.data.source import Request, Source
from kls.errors import UserError

NAME, STEM = "SVHN", "svhn"
BASE = "http://ufldl.stanford.edu/housenumbers"
REMOTES = (
    Remote(
        f"{BASE}/train_32x32.mat",
        "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
        182_040_794,
    ),
    Remote(
        f"{BASE}/test_32x32.mat",
        "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
        64_275_384,
    ),
)
N_TRAIN, N_TEST = 73_257, 26_032
SHAPE = (3, 32, 32)
CLASS_NAMES = tuple(map(str, range(10)))


def load(request: Request) -> Examples:
    """Read the pictures from `root`/svhn, which files that are not there are first downloaded into.

    Raises UserError: a file is not the official one, or is missing and cannot be downloaded.
    """
    contents = official_files(request.root, STEM, NAME, REMOTES, download=request.download)
    train, test = (
        _part(path, content, n)
        for path, content, n in zip(files(request), contents, (N_TRAIN, N_TEST), strict=True)
    )
    return Examples(NAME, *train, *test, CLASS_NAMES, SHAPE)


def files(request: Request) -> list[Path]:
    return [request.root / STEM / remote.name for remote in REMOTES]


def _part(path: Path, content: bytes, n: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pixels (n, 3072) and labels (n,) of a file that holds X (rows, columns, channels, n), and y (n, 1) with 10 for 0.

    SciPy's reader makes arrays and calls nothing that a file names.
    """
    from scipy.io import loadmat

    try:
        found = loadmat(io.BytesIO(content), variable_names=("X", "y"))
        x, y = found["X"], found["y"].ravel()
    except Exception as error:  # of many kinds
        raise UserError(f"{path} cannot be read as a file of MATLAB: {' '.join(str(error).split())[:200]}") from None
    if x.dtype != np.uint8 or x.shape != (32, 32, 3, n) or y.shape != (n,) or not (y.min() >= 1 and y.max() <= 10):
        raise UserError(f"{path} does not hold {n} pictures and their labels 1 to 10")
    return np.ascontiguousarray(x.transpose(3, 2, 0, 1)).reshape(n, -1), (y % 10).astype(np.uint8)


SOURCE = Source(name=NAME, load=load, files=files, n_train=N_TRAIN, n_test=N_TEST, shape=SHAPE, n_classes=10)
