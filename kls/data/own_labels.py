"""Classes and their numbers, of a user's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kls.errors import UserError
from kls.records.escape import shortened


def class_indices(
    path: Path, labels: Mapping[str, NDArray[Any]], class_names: Sequence[str] | None
) -> tuple[tuple[str, ...], dict[str, NDArray[np.intp]]]:
    """The names of the classes, and the number of each example's class, (n,), for "train" and other parts.

    class_names: whole numbers as labels are places in it, texts are among it. None: the sorted labels of training.

    Raises UserError: labels of other types, or such as training does not have.
    """
    for part, y in labels.items():
        if y.dtype.kind not in "biuU":
            raise UserError(f"{path}: y_{part} holds {y.dtype}; labels are whole numbers or texts")
        if (y.dtype.kind == "U") != (labels["train"].dtype.kind == "U"):
            raise UserError(f"{path}: y_{part} holds {y.dtype} and y_train {labels['train'].dtype}; give one kind")
    text = labels["train"].dtype.kind == "U"
    values, origin = np.unique(labels["train"]), "y_train does not have"
    names = [str(value) for value in values]
    if class_names is not None:
        names, origin = list(class_names), "class_names does not have"
        if len(set(names)) < len(names):
            raise UserError(f"{path}: class_names has a name twice")
        values = np.array(names) if text else np.arange(len(names))
    order = np.argsort(values, kind="stable")
    indices = {}
    for part, y in labels.items():
        places = np.minimum(np.searchsorted(values, y, sorter=order), len(values) - 1)
        indices[part] = order[places]
        wrong = values[indices[part]] != y
        if wrong.any():
            row = int(wrong.argmax())
            raise UserError(f"{path}: y_{part} has the label {shortened(str(y[row]))!r} in row {row}, which {origin}")
    return tuple(shortened(name) for name in names), indices
