"""From a source's name and what is asked of it to the data set."""

from __future__ import annotations

from numpy.typing import DTypeLike

from kls.data.dataset import DataSet
from kls.data.source import Request
from kls.data.sources import SOURCES
from kls.data.standardise import build_dataset


def load_dataset(
    source: str,
    request: Request,
    *,
    n_train: int | None,
    n_val: int | None,
    n_test: int | None,
    split_seed: int,
    dtype: DTypeLike,
) -> DataSet:
    """Load the examples of `source`, a key of `SOURCES`, and build the data set from them, see `build_dataset`.

    Raises UserError: sizes that do not fit; files that are missing or damaged, or cannot be used.
    """
    examples = SOURCES[source].load(request)
    return build_dataset(examples, n_train=n_train, n_val=n_val, n_test=n_test, split_seed=split_seed, dtype=dtype)
