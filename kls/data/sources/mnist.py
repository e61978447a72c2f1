"""MNIST: handwritten digits (LeCun, Bottou, Bengio and Haffner 1998)."""

from __future__ import annotations

from kls.data.download import Remote
from kls.data.idx import IdxSet
from kls.data.source import published

BASE = "https://storage.googleapis.com/cvdf-datasets/mnist"
REMOTES = (
    Remote(
        f"{BASE}/train-images-idx3-ubyte.gz",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        9_912_422,
    ),
    Remote(
        f"{BASE}/train-labels-idx1-ubyte.gz",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        28_881,
    ),
    Remote(
        f"{BASE}/t10k-images-idx3-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        1_648_877,
    ),
    Remote(
        f"{BASE}/t10k-labels-idx1-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        4_542,
    ),
)
N_TRAIN, N_TEST = 60_000, 10_000
CLASS_NAMES = tuple(map(str, range(10)))


def mnist() -> IdxSet:
    """Where its pictures lie, and how many there are."""
    return IdxSet("MNIST", "mnist", REMOTES, N_TRAIN, N_TEST, CLASS_NAMES)


SOURCE = published(mnist)
