"""From a source's name and what is asked of it to the data set."""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
from numpy.typing import DTypeLike

from kls.data import mapped
from kls.data.dataset import DataSet
from kls.data.source import Request
from kls.data.sources import SOURCES
from kls.data.standardise import Sizes, build_dataset, set_sizes

log = logging.getLogger("kls")


def load_dataset(source: str, request: Request, sizes: Sizes, *, split_seed: int, dtype: DTypeLike) -> DataSet:
    """The data set of `source`, a key of `SOURCES`, see `build_dataset`; from a copy on disk, if there is one.

    Raises UserError: sizes that do not fit; files that are missing or damaged, or cannot be used.
    """
    known = SOURCES[source]
    own = (request.path and request.path.name, request.target, request.seed, request.test_share)
    facts = (source, *own, *sizes, split_seed, np.dtype(dtype))
    key = mapped.key_of(known.files(request), *facts)
    data = None if key is None else mapped.opened(request.root, key)
    if data is None:
        examples = known.load(request)
        build = partial(build_dataset, examples, sizes, split_seed=split_seed, dtype=dtype)
        size = sum(set_sizes(examples, sizes)) * examples.train_x.shape[1] * np.dtype(dtype).itemsize
        key = mapped.key_of(known.files(request), *facts) if size >= mapped.LEAST_BYTES else None
        data = build() if key is None else mapped.kept(request.root, key, size, build)
    if data.test_held_out is not None:
        share = f"{100 * data.test_held_out:g} % of each class"
        log.info("%s has no test part: %s are held out as one (data.test_share, by data.seed)", data.name, share)
    return data
