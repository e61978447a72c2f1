"""Makes the synthetic pictures once for a seed and keeps them in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kls.data.array_cache import Arrays, cached_arrays
from kls.data.pictures import Pictures
from kls.data.synthetic import CLASS_NAMES, NAME, VERSION, make_pictures

N_TRAIN, N_TEST, PIXELS = 50_000, 10_000, 3072
PARTS = ("train_x", "train_y", "test_x", "test_y")


def load_synthetic(root: Path, seed: int) -> Pictures:
    """Return the 50,000 training and 10,000 test pictures of `seed`, from a file in `root` if it is there.

    The file is named after the seed and the version of the generator; see `cached_arrays` for when it is made.
    """
    sizes = ((N_TRAIN, PIXELS), (N_TRAIN,), (N_TEST, PIXELS), (N_TEST,))
    parts = cached_arrays(
        root / f"{NAME}-v{VERSION}-seed{seed}.npz",
        {part: (size, np.dtype(np.uint8)) for part, size in zip(PARTS, sizes, strict=True)},
        lambda: dict(zip(PARTS, make_pictures(seed, N_TRAIN, N_TEST), strict=True)),
        _has_classes,
    )
    train_x, train_y, test_x, test_y = (parts[part] for part in PARTS)
    return Pictures(f"{NAME} (seed {seed})", train_x, train_y, test_x, test_y, CLASS_NAMES)


def _has_classes(parts: Arrays) -> bool:
    return bool(max(parts["train_y"].max(), parts["test_y"].max()) < len(CLASS_NAMES))
