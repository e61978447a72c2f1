"""Arrays in files keep every bit, and a file that is anything else is refused in one line, at no cost."""

from __future__ import annotations

import io
import os
import pickle
import resource
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kls.errors import DamageError
from kls.records.arrays import read_arrays, write_arrays

ARRAYS = {
    "W1": np.arange(12.0).reshape(3, 4),
    "turned": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "step": np.array(7),
    "started": np.array(True),
    "text": np.array(['{"é": 1}', "b"]),
    "none": np.zeros((0, 3072), np.uint8),
    "labels": np.arange(9, dtype=np.uint8),
    "swapped": np.arange(3, dtype=">i4"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "arrays.npz"
    write_arrays(path, ARRAYS)
    return path


def fault(path: Path) -> str:
    """What is wrong with the file; it is told in one line."""
    with pytest.raises(DamageError) as caught:  # warnings would be errors of another kind
        read_arrays(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    assert len(line) < len(str(path)) + 300
    return line.removeprefix(f"{path}: ")


def member(content: bytes, name: str = "x.npy", compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(header) + 1) + header.encode() + b"\n" + data


def described(descr: str, shape: str, data: bytes = b"") -> bytes:
    return member(npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}", data))


def test_every_bit_is_kept(path: Path) -> None:
    found = read_arrays(path)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].shape == array.shape
        assert found[name].dtype == array.dtype.newbyteorder("=")
        assert found[name].dtype.isnative
        assert found[name].tobytes() == array.astype(found[name].dtype).tobytes()
    assert found["turned"].flags.f_contiguous


def test_numpy_reads_what_is_written_and_the_other_way_round(path: Path) -> None:
    with np.load(path, allow_pickle=False) as file:
        assert {name: file[name].tobytes() for name in file} == {name: a.tobytes() for name, a in ARRAYS.items()}
    np.savez(path, **ARRAYS)
    assert read_arrays(path)["text"].tolist() == ARRAYS["text"].tolist()


def test_objects_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle=False"):
        write_arrays(tmp_path / "a.npz", {"x": np.array([{}], object)})
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "a.npz")


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    assert fault(tmp_path) == "is not a regular file"
    os.mkfifo(tmp_path / "pipe")
    assert fault(tmp_path / "pipe") == "is not a regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_it(path: Path) -> None:
    path.chmod(0)
    assert fault(path) == "cannot be read (Permission denied)"


def test_every_single_bit_flip_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    arrays = {"W1": np.arange(4.0), "step": np.array(3)}
    write_arrays(path, arrays)
    whole = path.read_bytes()
    noticed = 0
    for place in range(8 * len(whole)):
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            found = read_arrays(path)
        except DamageError:
            noticed += 1
        else:
            assert {k: a.tobytes() for k, a in found.items()} == {k: a.tobytes() for k, a in arrays.items()}
    assert noticed > 0.7 * 8 * len(whole)  # others are in dates, for example


def test_every_cut_is_noticed(path: Path) -> None:
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert fault(path)


class Trap:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return self.marker.touch, ()


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    path, marker = tmp_path / "a.npz", tmp_path / "sprung"
    np.savez(path, x=np.array([Trap(marker)], object))
    assert fault(path) == "does not hold whole arrays ('x.npy' is not an array of numbers or texts)"
    path.write_bytes(pickle.dumps(Trap(marker)))
    assert fault(path) == "does not hold whole arrays (File is not a zip file)"
    path.write_bytes(member(pickle.dumps(Trap(marker))))
    assert fault(path) == "does not hold whole arrays ('x.npy' is not an array of numbers or texts)"
    assert not marker.exists()


WRONG_SIZE = "'x.npy' has not the size that its shape needs"
NO_ARRAY = "'x.npy' is not an array of numbers or texts"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (described("'<f8'", "(100000000000,)", b"12345678"), WRONG_SIZE),
        (described("'<f8'", "(100000, 100000, 100000, 100000)"), WRONG_SIZE),
        (described("'<U0'", "(100000000000,)"), WRONG_SIZE),
        (described("'<f8'", "(3,)", b"12345678"), WRONG_SIZE),
        (described("'<f8'", "(0, 999999999999999, 999999999999999)"), "array is too big"),
        (described("'<f8'", f"({'9' * 5000},)"), NO_ARRAY),
        (described("'<f8'", "(-1, -1)", b"12345678"), NO_ARRAY),
        (described("'|O'", "(1,)", b"12345678"), NO_ARRAY),
        (described("[('a', '|O')]", "(1,)", b"12345678"), NO_ARRAY),
        (described("'<f3'", "()", b"123"), "data type '<f3' not understood"),
        (described("'<U1'", "()", b"\xff\xff\xff\xff"), "'x.npy' holds no valid text"),
        (described("'\\d'", "()", b"1"), NO_ARRAY),
        (member(npy("(" * 9000)), NO_ARRAY),
        (member(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1L,), }", b"12345678")), NO_ARRAY),
        (member(npy("{}", version=b"\x03\x00")), NO_ARRAY),
        (member(b""), NO_ARRAY),
        (member(b"hello"), NO_ARRAY),
        (member(b"hello", name="x.txt"), "'x.txt' is not an array"),
        (member(b"hello", name="y" * 60_000), f"'{'y' * 50}' is not an array"),
        (member(bytes(10**7), compression=zipfile.ZIP_DEFLATED), "'x.npy' is compressed"),
        (member(b"abc", compression=zipfile.ZIP_BZIP2), "'x.npy' is compressed"),
        (member(b"abc", compression=zipfile.ZIP_LZMA), "'x.npy' is compressed"),
    ],
)
def test_hostile_members_are_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert fault(path).startswith(f"does not hold whole arrays ({reason}")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def central(entries: list[tuple[str, int, int]], data: bytes) -> bytes:
    """A zip file of `data` and a central directory whose (name, size, offset) are as given."""
    directory = b""
    for name, size, offset in entries:
        numbers = (20, 20, 0, 0, 0, 0, 0, size, size, len(name), 0, 0, 0, 0, 0, offset)
        directory += b"PK\x01\x02" + struct.pack("<6H3L5H2L", *numbers) + name.encode()
    end = (0, 0, len(entries), len(entries), len(directory), len(data), 0)
    return data + directory + b"PK\x05\x06" + struct.pack("<4H2LH", *end)


def test_members_that_lie_about_their_place_and_size(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(central([(f"{i}.npy", 1000, 0) for i in range(1000)], bytes(2000)))
    assert fault(path) == "does not hold whole arrays (its arrays are larger than the file)"
    path.write_bytes(central([("x.npy", 2**31, 0)], bytes(2000)))
    assert fault(path) == "does not hold whole arrays (its arrays are larger than the file)"
    path.write_bytes(central([("x.npy", 10, 0), ("x.npy", 10, 0)], bytes(2000)))
    assert fault(path) == "does not hold whole arrays (it has two arrays of one name)"


def test_written_files_have_the_usual_rights(path: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
