"""Small made-up files in the formats of the published data sets."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from kls.data.download import Remote

Bytes = NDArray[np.uint8]
N_TRAIN, N_TEST = 12, 5


def pixels(n: int, *shape: int) -> Bytes:
    """Values that are other ones at each place."""
    return (np.arange(n * int(np.prod(shape))) * 7 % 251).astype(np.uint8).reshape(n, *shape)


def idx(array: Bytes) -> bytes:
    """A file of that format, compressed."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes(), 1, mtime=0)


def idx_files() -> list[bytes]:
    """Pictures and labels, for training and test."""
    parts = []
    for n in (N_TRAIN, N_TEST):
        parts += [idx(pixels(n, 28, 28)), idx((np.arange(n) % 10).astype(np.uint8))]
    return parts


def mat_files() -> list[bytes]:
    """Training and test files of SVHN: the label of picture i is i + 1, 10 for a zero."""
    files = []
    for n in (N_TRAIN, N_TEST):
        file = io.BytesIO()
        labels = (np.arange(n) % 10 + 1).astype(np.uint8)[:, np.newaxis]
        scipy.io.savemat(file, {"X": pixels(n, 3, 32, 32).transpose(2, 3, 1, 0), "y": labels}, do_compression=True)
        files.append(file.getvalue())
    return files


def tar_gz(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def cifar100_archive() -> bytes:
    """Records of a coarse label, which is always 3, a fine label and the pixels."""
    files = {}
    for name, n in (("train", N_TRAIN), ("test", N_TEST)):
        labels = np.stack([np.full(n, 3), np.arange(n) * 8]).T.astype(np.uint8)
        files[f"cifar-100-binary/{name}.bin"] = np.hstack([labels, pixels(n, 3072)]).tobytes()
    return tar_gz(files)


def published(monkeypatch: pytest.MonkeyPatch, source: ModuleType, contents: Sequence[bytes], url: str = "") -> None:
    """Make files the official ones of a source, with so few examples."""

    def official(remote: Remote, content: bytes) -> Remote:
        own: dict[str, Any] = {"url": f"{url}/{remote.name}"} if url else {}
        return replace(remote, sha256=hashlib.sha256(content).hexdigest(), size=len(content), **own)

    remotes = getattr(source, "REMOTES", None)
    if remotes is None:
        monkeypatch.setattr(source, "REMOTE", official(source.REMOTE, contents[0]))
    else:
        monkeypatch.setattr(source, "REMOTES", [official(*pair) for pair in zip(remotes, contents, strict=True)])
    monkeypatch.setattr(source, "N_TRAIN", N_TRAIN)
    monkeypatch.setattr(source, "N_TEST", N_TEST)
