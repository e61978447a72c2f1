"""Named arrays in a file: an npz whose members are stored as they are, read without trusting what it says of itself.

Only numbers, booleans and texts are written or read, no objects. zip keeps a CRC-32 of each array, which is checked.
"""

from __future__ import annotations

import math
import os
import re
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from kls.errors import DamageError
from kls.records.atomic import atomic_path

SUFFIX = ".npy"
CHUNK_BYTES = 2**18
# Magic number, version 1.0 and length of the header; the header as NumPy writes it for plain types.
_START = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([<>|][biufU]\d{1,9})', 'fortran_order': (False|True), "
    rb"'shape': \(((?:\d{1,15}, ?)*(?:\d{1,15})?)\), \} *\n"
)
_END = struct.Struct("<4s6xH10x")  # of a zip file without a comment: signature, number of members


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], keep: Path | None = None) -> None:
    """Write the arrays under their names as npz, whole or not at all; ``numpy.load`` reads it too.

    keep: what the file that was there before is renamed to.

    Raises ValueError where one holds objects, OSError where the file cannot be written.
    """
    with atomic_path(path, keep) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}{SUFFIX}", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), version=(1, 0), allow_pickle=False)


def read_arrays(path: Path, largest: int = 0) -> dict[str, NDArray[Any]]:
    """The arrays as written, in this machine's byte order.

    No more memory is taken than the file has bytes, and compressed members are refused; unless they are allowed up to
    the ``largest`` number of bytes that all arrays may have together. Raises FileNotFoundError or NotADirectoryError
    where there is none; DamageError where the file is anything but what `write_arrays` or ``numpy.savez`` makes.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DamageError(f"{path}: is not a regular file")
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            file_size = file.seek(-_END.size, os.SEEK_END) + _END.size
            if _END.unpack(file.read()) != (b"PK\x05\x06", min(len(members), 0xFFFF)):
                raise ValueError("some are missing from its directory")
            _check(members, file_size, largest)
            return {member.filename.removesuffix(SUFFIX): _read(archive, member) for member in members}
    except (DamageError, FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise DamageError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # a damaged zip raises many kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DamageError(f"{path}: does not hold whole arrays ({reason})") from None


def check_shapes(found: Mapping[str, NDArray[Any]], needed: Mapping[str, NDArray[Any]]) -> None:
    """Raises ValueError unless each array that is needed is there in its shape and type; NumPy would make some fit.

    Texts may have any length.
    """
    for name, array in needed.items():
        there = found.get(name)
        if there is None:
            raise ValueError(f"{name} is missing")
        same_type = there.dtype == array.dtype or there.dtype.kind == array.dtype.kind == "U"
        if there.shape != array.shape or not same_type:
            raise ValueError(f"{name} is {there.dtype} {there.shape} and should be {array.dtype} {array.shape}")


def _check(members: list[zipfile.ZipInfo], file_size: int, largest: int) -> None:
    if len({member.filename for member in members}) < len(members):
        raise ValueError("it has two arrays of one name")
    for member in members:
        stored = member.compress_type == zipfile.ZIP_STORED and member.file_size == member.compress_size
        if not stored and not (largest and member.compress_type == zipfile.ZIP_DEFLATED):
            raise ValueError(f"{member.filename[:50]!r} is compressed")
        if not member.filename.endswith(SUFFIX):
            raise ValueError(f"{member.filename[:50]!r} is not an array")
    if sum(member.file_size for member in members) > (largest or file_size):
        raise ValueError(f"its arrays are larger than {'the memory' if largest else 'the file'}")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as file:
        start = file.read(len(_START) + 2)
        length = int.from_bytes(start[len(_START) :], "little")
        header = _HEADER.fullmatch(file.read(length)) if start.startswith(_START) else None
        if header is None:
            raise ValueError(f"{member.filename[:50]!r} is not an array of numbers or texts")
        dtype, columns_first = np.dtype(header[1].decode()), header[2] == b"True"
        shape = tuple(int(size) for size in re.findall(rb"\d+", header[3]))
        if not dtype.itemsize or math.prod(shape) * dtype.itemsize != member.file_size - len(start) - length:
            raise ValueError(f"{member.filename[:50]!r} has not the size that its shape needs")
        array = np.empty(shape, dtype, order="F" if columns_first else "C")
        _fill(array.T if columns_first else array, file)
    array = array.astype(dtype.newbyteorder("="), copy=False)
    if dtype.kind == "U" and array.size and np.ascontiguousarray(array).reshape(-1).view(np.uint32).max() > 0x10FFFF:
        raise ValueError(f"{member.filename[:50]!r} holds no valid text")
    return array


def _fill(array: NDArray[Any], file: IO[bytes]) -> None:
    """Read a C-contiguous array's bytes; at the last of them zipfile checks their CRC."""
    content = array.reshape(-1).view(np.uint8)
    for start in range(0, len(content), CHUNK_BYTES):
        part = file.read(min(CHUNK_BYTES, len(content) - start))
        content[start : start + len(part)] = np.frombuffer(part, np.uint8)
    if file.read(1):
        raise ValueError("an array is longer than its shape needs")
