"""Pickled batches are read without running anything, and refused if they are anything else."""

from __future__ import annotations

import os
import pickle
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

from kls.data import cifar10
from kls.data.cifar10 import load_cifar10
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


@pytest.mark.parametrize(
    ("function", "shown"), [(os.system, f"'{os.name} system'"), (eval, "'__builtin__ eval'")]
)
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


@pytest.mark.parametrize("seed", range(40))
def test_damaged_pickle_is_read_or_refused_in_one_line(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = write_python(tmp_path) / "data_batch_1"
    content = bytearray(path.read_bytes())
    for place in rng.integers(0, 270, size=3):
        content[place] = rng.integers(256)
    path.write_bytes(content)
    message = ""
    try:
        pictures = load_cifar10(tmp_path, download=False)
    except UserError as error:
        message = str(error)
    if message:
        assert message.startswith(f"{path} ") or message.startswith(f"{path}: ")
        assert "\n" not in message
    else:
        assert pictures.train_x.shape == (5 * RECORDS, 3072)
