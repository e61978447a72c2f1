"""The embedded data set: pictures made once for a seed and kept in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kls.data.array_cache import Arrays, cached_arrays
from kls.data.examples import Examples
from kls.data.source import Request, Source
from kls.data.synthetic import CHANNELS, CLASS_NAMES, NAME, SIDE, VERSION, make_pictures

N_TRAIN, N_TEST = 50_000, 10_000
SHAPE = (CHANNELS, SIDE, SIDE)
PARTS = ("train_x", "train_y", "test_x", "test_y")


def load(request: Request) -> Examples:
    """The 50,000 training and 10,000 test pictures of the seed, from a file in the root if it is there.

    The file is named after the seed and the version of the generator; see `cached_arrays` for when it is made.
    """
    d = CHANNELS * SIDE * SIDE
    sizes = ((N_TRAIN, d), (N_TRAIN,), (N_TEST, d), (N_TEST,))
    parts = cached_arrays(
        _path(request),
        {part: (size, np.dtype(np.uint8)) for part, size in zip(PARTS, sizes, strict=True)},
        lambda: dict(zip(PARTS, make_pictures(request.seed, N_TRAIN, N_TEST), strict=True)),
        _has_classes,
    )
    train_x, train_y, test_x, test_y = (parts[part] for part in PARTS)
    return Examples(f"{NAME} (seed {request.seed})", train_x, train_y, test_x, test_y, CLASS_NAMES, SHAPE)


def _path(request: Request) -> Path:
    return request.root / f"{NAME}-v{VERSION}-seed{request.seed}.npz"


def _has_classes(parts: Arrays) -> bool:
    return bool(max(parts["train_y"].max(), parts["test_y"].max()) < len(CLASS_NAMES))


SOURCE = Source(
    name=NAME,
    load=load,
    files=lambda request: [_path(request)],
    n_train=N_TRAIN,
    n_test=N_TEST,
    shape=SHAPE,
    n_classes=len(CLASS_NAMES),
    made_up=True,
)
