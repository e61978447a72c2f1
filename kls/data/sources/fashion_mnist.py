"""Fashion-MNIST: pictures of clothes in the place of digits (Xiao, Rasul and Vollgraf 2017)."""

from __future__ import annotations

from kls.data.download import Remote
from kls.data.idx import IdxSet
from kls.data.source import published

BASE = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
REMOTES = (
    Remote(
        f"{BASE}/train-images-idx3-ubyte.gz",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        26_421_880,
    ),
    Remote(
        f"{BASE}/train-labels-idx1-ubyte.gz",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        29_515,
    ),
    Remote(
        f"{BASE}/t10k-images-idx3-ubyte.gz",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        4_422_102,
    ),
    Remote(
        f"{BASE}/t10k-labels-idx1-ubyte.gz",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        5_148,
    ),
)
N_TRAIN, N_TEST = 60_000, 10_000
CLASS_NAMES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


def fashion_mnist() -> IdxSet:
    """Where its pictures lie, and how many there are."""
    return IdxSet("Fashion-MNIST", "fashion-mnist", REMOTES, N_TRAIN, N_TEST, CLASS_NAMES)


SOURCE = published(fashion_mnist)
