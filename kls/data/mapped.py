"""Standardised data sets on disk, one copy of each, which all processes map instead of holding their own.

Each has a folder of its own in <root>/standardised, named after all that decides what it holds: the contents of the
source's files, what was asked of it, the sizes of the sets and their type. The folder appears whole, and each array's
CRC-32 is compared when it is opened. The last few that were used are kept.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import logging
import math
import mmap
import os
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kls.data.array_cache import locked
from kls.data.dataset import DataSet, Split
from kls.data.standardise import Inputs, Store, in_memory, read_only
from kls.errors import DamageError
from kls.records import checked
from kls.records.arrays import read_arrays, write_arrays
from kls.records.atomic import remove_leftovers, temporary_path

FOLDER = "standardised"
VERSION = 1  # part of the key: raise it with every change of what is kept
KEPT = 4  # data sets
LEAST_BYTES = 2**25  # of inputs; a smaller data set is made by each process for itself
SPARE = 2  # times its size must be free on the disk
CHUNK_BYTES = 2**23  # that are written at once, so that the system keeps and maps them as large pages

FACTS, SMALL = "data.json", "labels.npz"
SETS = ("train", "val", "test")
_NAME = re.compile(r"[0-9a-f]{32}(\.damaged(-\d+)?)?")

log = logging.getLogger("kls")


class Build(Protocol):
    """Makes a data set whose inputs are kept by a store."""

    def __call__(self, *, store: Store = in_memory) -> DataSet: ...


def key_of(files: Sequence[Path], *facts: object) -> str | None:
    """The name of a data set's folder, from the contents of files and other facts; None where there are no files."""
    digest = hashlib.sha256(json.dumps([VERSION, np.__version__, *map(str, facts)]).encode())
    try:
        for path in files:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    except OSError:
        return None
    return digest.hexdigest()[:32] if files else None


def opened(root: Path, key: str) -> DataSet | None:
    """The data set of that key, if it is there and whole."""
    with suppress(FileNotFoundError, NotADirectoryError, DamageError):
        return _open(root / FOLDER / key)
    return None


def kept(root: Path, key: str, size: int, build: Build) -> DataSet:
    """The data set of that key, which is made and kept if need be. A damaged one is set aside.

    Where it cannot be kept, this process holds it alone. size: bytes of its inputs.
    """
    folder = root / FOLDER / key
    with locked(root / FOLDER):
        try:
            if folder.is_dir():
                with suppress(DamageError):
                    return _open(folder)
                checked.set_aside(folder)
            _make(folder, size, build)
            with suppress(OSError):
                _forget_old(folder)
            return _open(folder)
        except (OSError, DamageError) as error:
            reason = getattr(error, "strerror", None) or error
            log.info("%s: cannot be kept there (%s); each process holds its own data", folder, reason)
    return build()


def _make(folder: Path, size: int, build: Build) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder.parent)
    if shutil.disk_usage(folder.parent).free < SPARE * size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    temporary, sums = temporary_path(folder), dict[str, int]()
    temporary.mkdir()

    def store(name: str, shape: tuple[int, int], dtype: DTypeLike, blocks: Iterable[Inputs]) -> Inputs:
        sums[name] = _write(_array_path(temporary, name), shape, dtype, blocks)
        return np.empty((0, shape[1]), dtype)  # mapped when all is there

    try:
        data = build(store=store)
        small = {"mean": data.mean, "sd": data.sd} | {name: getattr(data, name).y for name in SETS}
        write_arrays(temporary / SMALL, small)
        facts = {
            "crc32": sums, "name": data.name, "class_names": data.class_names, "fingerprint": data.fingerprint,
            "pictures_fingerprint": data.pictures_fingerprint, "image_shape": data.image_shape,
            "test_held_out": data.test_held_out, "raw_dtype": data.raw_dtype.name,
        }  # fmt: skip
        checked.write_json(temporary / FACTS, facts)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _open(folder: Path) -> DataSet:
    """The data set in a folder, its inputs mapped. Raises FileNotFoundError; DamageError where it is not whole."""
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    try:
        facts, small = checked.read_json(folder / FACTS), read_arrays(folder / SMALL)
        splits = [Split(_mapped(folder, name, facts["crc32"][name]), read_only(small[name])) for name in SETS]
        for split in splits:
            if split.x.shape != (len(split.y), len(small["mean"])):
                raise ValueError("its arrays do not go together")
        (train, val, test), shape = splits, facts["image_shape"]
        data = DataSet(
            facts["name"], train, val, test, tuple(facts["class_names"]), read_only(small["mean"]),
            read_only(small["sd"]), facts["fingerprint"], facts["pictures_fingerprint"], shape and tuple(shape),
            facts["test_held_out"], raw_dtype=np.dtype(facts["raw_dtype"]),
        )  # fmt: skip
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DamageError(f"{folder}: does not hold a whole data set ({error})") from None
    with suppress(OSError):
        os.utime(folder)  # tells which were used last
    return data


def _write(path: Path, shape: tuple[int, int], dtype: DTypeLike, blocks: Iterable[Inputs]) -> int:
    """Write inputs as npy; gives the CRC-32 of the file."""
    header, crc = io.BytesIO(), 0
    kind = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(header, {"descr": kind, "fortran_order": False, "shape": shape})
    with path.open("wb") as file:
        for chunk in _chunks(header.getvalue(), blocks):
            crc = zlib.crc32(chunk, crc)
            file.write(chunk)
    return crc


def _chunks(header: bytes, blocks: Iterable[Inputs]) -> Iterator[bytearray]:
    """A file's content in chunks of `CHUNK_BYTES`, but for the last."""
    waiting = bytearray(header)
    for block in blocks:
        waiting += block.data
        while len(waiting) >= CHUNK_BYTES:
            yield waiting[:CHUNK_BYTES]
            del waiting[:CHUNK_BYTES]
    yield waiting


def _mapped(folder: Path, name: str, crc: int) -> NDArray[np.floating]:
    """The array of an npy file, which is read as far as the check of its CRC-32 does. Raises ValueError, OSError."""
    with _array_path(folder, name).open("rb") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} has another format")
        shape, columns_first, dtype = np.lib.format.read_array_header_1_0(file)
        start = file.tell()
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if len(shape) != 2 or columns_first or dtype.kind != "f":
        raise ValueError(f"{name} holds {dtype} {shape}")
    with suppress(AttributeError, OSError):  # not on this system
        content.madvise(mmap.MADV_HUGEPAGE)  # rows are gathered from anywhere
    found = 0
    with memoryview(content) as view:
        for place in range(0, len(view), CHUNK_BYTES):
            found = zlib.crc32(view[place : place + CHUNK_BYTES], found)
    if found != crc:
        raise ValueError(f"{name} has changed")
    return np.frombuffer(content, dtype, math.prod(shape), start).reshape(shape)


def _array_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _forget_old(folder: Path) -> None:
    """Remove the data sets beside `folder` but for the last ones that were used, and what is no such folder."""
    others = sorted(_own(folder.parent), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in [path for path in others if path != folder][KEPT - 1 :]:
        temporary = path.rename(temporary_path(path))
        shutil.rmtree(temporary, ignore_errors=True)


def _own(folder: Path) -> Iterator[Path]:
    """The folders that `_make` has made, damaged ones too: they hold nothing else."""
    known = {FACTS, SMALL, *(_array_path(folder, name).name for name in SETS)}
    for path in folder.iterdir():
        if _NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            found = {inner.name for inner in path.iterdir()}
            if FACTS in found and found <= known:
                yield path
