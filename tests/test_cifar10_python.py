"""Pickled batches are read without running anything, and refused if they are anything else."""

from __future__ import annotations

import os
import pickle
import re
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_cifar10 import (
    RECORDS,
    batch,
    python2_batch,
    refusal,
    write_python,
)

from kls.data import cifar
from kls.data.cifar10_python import parse_python_batch
from kls.data.sources import cifar10
from kls.errors import UserError


@pytest.fixture(autouse=True)
def four_records_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "RECORDS_PER_FILE", RECORDS)


class Attack:
    """Pickles to a call of `function` with `argument`."""

    def __init__(self, function: Callable[..., Any], argument: str) -> None:
        self.call = function, (argument,)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return self.call


@pytest.mark.parametrize(("function", "shown"), [(os.system, f"'{os.name} system'"), (eval, "'__builtin__ eval'")])
@pytest.mark.parametrize("place", ["whole file", "data", "other key"])
def test_pickle_that_runs_code_is_refused_and_runs_nothing(
    tmp_path: Path, function: Callable[..., Any], shown: str, place: str
) -> None:
    marker = tmp_path / "marker"
    code = f"echo > {marker}" if function is os.system else f"open({str(marker)!r}, 'w').close()"
    attack: Any = Attack(function, code)
    pickle.loads(pickle.dumps(attack, protocol=2))
    assert marker.exists()  # the attack works where a pickle is loaded
    marker.unlink()

    labels, pixels = batch(0)
    content = {"labels": labels.tolist(), "data": pixels}
    content |= {"data": attack} if place == "data" else {"filenames": attack}
    path = write_python(tmp_path / "cifar-10-batches-py") / "data_batch_1"
    path.write_bytes(pickle.dumps(attack if place == "whole file" else content, protocol=2))
    assert refusal(tmp_path) == (
        f"{path} is not a CIFAR-10 batch of the Python version: it asks for {shown}, which is never called"
    )
    assert not marker.exists()


def pickled(data: Any, labels: Any = (0, 1)) -> bytes:
    return pickle.dumps({"labels": list(labels), "data": data}, protocol=2)


TWO = np.zeros((2, 3072), dtype=np.uint8)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (python2_batch(*batch(0))[:-1], "pickle exhausted before seeing STOP"),
        (python2_batch(*batch(0))[:9000], "expected 12288 bytes in a string4, but only 8793 remain"),
        (pickled(TWO).replace(b"latin1", b"latin9"), "it holds text in another encoding than latin1"),
        (pickled(TWO.astype(np.int32)), "its data is not a uint8 array with 3072 columns"),
        (pickled(TWO.astype(object)), "its data is not a uint8 array with 3072 columns"),
        (pickled(TWO[:, :3071]), "its data is not a uint8 array with 3072 columns"),
        (pickled([1, 2]), "its data is not a uint8 array with 3072 columns"),
        (
            pickled(TWO).replace(b"K\x02M\x00\x0c", b"J\xff\xff\xff\xffM\x00\x0c"),
            "its data are 6144 bytes, which are not -1 rows of 3072",
        ),
        (
            pickled(TWO).replace(b"K\x02M\x00\x0c", b"J\xff\xff\xff\x7fM\x00\x0c"),
            "its data are 6144 bytes, which are not 2147483647 rows of 3072",
        ),
        (
            pickled(TWO).replace(b"K\x02M\x00\x0c", b"\x88M\x00\x0c"),
            "its data are 6144 bytes, which are not True rows of 3072",
        ),
        (pickled(TWO, labels=[0, 1, 2]), "it should hold a list of 2 labels"),
        (pickled(TWO, labels=[0, 300]), "bytes must be in range(0, 256)"),
        (pickle.dumps({"labels": [1, 2], "x": 3}, protocol=2), "nothing under the key 'data'"),
        (
            pickle.dumps({"labels": [1, 2], "data": TWO}, protocol=4),
            "it uses the pickle opcode FRAME, which such a batch does not need",
        ),
    ],
)
def test_other_pickles_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = write_python(tmp_path) / "data_batch_1"
    path.write_bytes(content)
    assert refusal(tmp_path) == f"{path} is not a CIFAR-10 batch of the Python version: {reason}"


def test_no_opcode_but_the_few_of_a_batch_is_followed(tmp_path: Path) -> None:
    """Whatever calls, imports, or asks another for an object is refused by its name before anything is done."""
    path, marker = write_python(tmp_path) / "data_batch_1", tmp_path / "marker"
    call = f"touch {marker}".encode()
    line = b"os\nsystem\n"
    for payload, opcode in [
        (b"(S'" + call + b"'\nios\nsystem\n.", "STRING"),
        (b"(U" + bytes([len(call)]) + call + b"i" + line + b".", "INST"),
        (b"(U\x02osU\x06systemo.", "OBJ"),
        (b"U\x02osU\x06system\x93.", "STACK_GLOBAL"),
        (b"U\x02os\x81.", "NEWOBJ"),
        (b"U\x02os}\x92.", "NEWOBJ_EX"),
        (b"Pid\n.", "PERSID"),
        (b"U\x02idQ.", "BINPERSID"),
        (b"\x82\x01.", "EXT1"),
        (b"\x97.", "NEXT_BUFFER"),
        (b"I12\n.", "INT"),
        (b"\x8a\x01\x05.", "LONG1"),
        (b"G" + bytes(8) + b".", "BINFLOAT"),
        (b"\x94.", "MEMOIZE"),
        (b"2.", "DUP"),
    ]:
        path.write_bytes(b"\x80\x02" + payload)
        reason = f"it uses the pickle opcode {opcode}, which such a batch does not need"
        assert refusal(tmp_path) == f"{path} is not a CIFAR-10 batch of the Python version: {reason}"
    assert not marker.exists()


def nested(depth: int) -> bytes:
    """A batch with tuples within tuples, as the key of a dict: Python's hash of that would overflow its stack."""
    return b"\x80\x02}(" + b"N" + b"\x85" * depth + b"Nu."


LOOP = b"\x80\x02}q\x01(U\x06labels]q\x02(h\x02h\x02eU\x04datah\x02u."  # a list that holds itself
COPIES = b"\x80\x02]q\x00" + b"".join(b"(" + b"h\x00" * 9 + b"eq\x00" for _ in range(500)) + b"."


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (nested(290_000), "it has keys that are not texts"),
        (b"\x80\x02" + b"N" * 300_001 + b".", "it has more than 300000 opcodes"),
        (b"\x80\x02" + b"]" * 300_001 + b".", "it has more than 300000 opcodes"),
        (b"\x80\x02" + b"(" * 300_001 + b".", "it has more than 300000 opcodes"),
        (b"\x80\x02" + b"N" * 100_000 + b"(t" * 99_000 + b".", "tuple indices must be integers"),
        (b"\x80\x02c" + b"x" * 10_000_000 + b"\ny\n.", f"it asks for '{'x' * 60}', which is never called"),
        (b"\x80\x02r\xff\xff\xff\xff.", "list index out of range"),
        (b"\x80\x02j\xff\xff\xff\xff.", "nothing under the key 4294967295"),
        (b"\x80\x02N(N\x86.", "it takes more from its stack than there is"),
        (b"\x80\x02t.", "pop from empty list"),
        (b"\x80\x02Nb.", "it takes more from its stack than there is"),
        (b"\x80\x02]Nb.", "'list' object has no attribute 'state'"),
        (b"\x80\x02NNR.", "'NoneType' object has no attribute 'text'"),
        (LOOP, "its data is not a uint8 array with 3072 columns"),
        (COPIES, "list indices must be integers"),
    ],
)
def test_hostile_pickles_cost_neither_time_nor_memory(
    content: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar, "LARGEST", 1e5)
    path = write_python(tmp_path) / "data_batch_1"
    path.write_bytes(content)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    assert refusal(tmp_path).startswith(f"{path} is not a CIFAR-10 batch of the Python version: {reason}")
    assert time.perf_counter() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB


WORDS = (
    b"N", b"(", b"]", b"}", b"t", b"e", b"u", b"R", b"b", b"\x85", b"\x86", b"\x87", b"\x88", b"\x89", b"q\x01",
    b"q\x02", b"h\x01", b"h\x02", b"K\x01", b"M\x00\x0c", b"J\xff\xff\xff\xff", b"U\x06labels", b"U\x04data",
    b"U\x02u1", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n",
    b"c_codecs\nencode\n", b"U\x06latin1", b"T\x03\x00\x00\x00abc", b"X\x02\x00\x00\x00\xed\xa0", b"S'a'\n", b"S\\q\n",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["words", "put in", "flipped"])
def test_thousands_of_made_up_pickles_are_read_or_refused_in_one_line(kind: str) -> None:
    rng, whole, path = np.random.default_rng(0), python2_batch(*batch(0)), Path("data_batch_1")
    lines = []
    for _ in range(1500):
        content = bytearray(whole)
        if kind == "words":
            content[2:] = b"".join(WORDS[i] for i in rng.integers(len(WORDS), size=rng.integers(1, 25))) + b"."
        elif kind == "put in":
            place = rng.integers(2, 250)
            content[place : place + rng.integers(4)] = WORDS[rng.integers(len(WORDS))]
        else:
            for place in rng.integers(270, size=rng.integers(1, 6)):
                content[place] = rng.integers(256)
        try:
            labels, pixels = parse_python_batch(path, np.frombuffer(content, np.uint8))
        except UserError as error:
            lines.append(str(error))
        else:
            assert pixels.shape == (len(labels), 3072)
    assert len(lines) > 500
    for line in lines:
        assert re.fullmatch(f"{path} is not a CIFAR-10 batch of the Python version: .{{1,225}}", line)
