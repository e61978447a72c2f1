"""CIFAR-10, in its binary version or, read without loading a pickle, that for Python."""

from __future__ import annotations

from kls.data.cifar import Cifar, Version, records
from kls.data.cifar10_python import parse_python_batch
from kls.data.download import Remote
from kls.data.source import published

REMOTE = Remote(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    170_052_171,
)
RECORDS_PER_FILE = 10_000
CLASS_NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


def cifar10() -> Cifar:
    """Where its pictures lie, and how many there are."""
    return Cifar(
        name="CIFAR-10",
        stem="cifar-10",
        remote=REMOTE,
        versions=(
            Version("cifar-10-batches-bin", ".bin", lambda path, content: records(path, content, 1)),
            Version("cifar-10-batches-py", "", parse_python_batch),
        ),
        train={f"data_batch_{i}": RECORDS_PER_FILE for i in range(1, 6)},
        test={"test_batch": RECORDS_PER_FILE},
        label_bytes=1,
        class_names=CLASS_NAMES,
    )


SOURCE = published(cifar10)
