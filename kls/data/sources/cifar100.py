"""CIFAR-100 with its 100 fine labels, in its binary version."""

from __future__ import annotations

from kls.data.cifar import Cifar, Version, records
from kls.data.download import Remote
from kls.data.source import published

REMOTE = Remote(
    "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    168_513_733,
)
N_TRAIN, N_TEST = 50_000, 10_000
CLASS_NAMES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
    "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard",
    "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum",
    "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
    "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
)  # fmt: skip


def cifar100() -> Cifar:
    """Where its pictures lie, and how many there are. A record begins with the coarse and the fine label."""
    return Cifar(
        name="CIFAR-100",
        stem="cifar-100",
        remote=REMOTE,
        versions=(Version("cifar-100-binary", ".bin", lambda path, content: records(path, content, 2), loose=False),),
        train={"train": N_TRAIN},
        test={"test": N_TEST},
        label_bytes=2,
        class_names=CLASS_NAMES,
    )


SOURCE = published(cifar100)
