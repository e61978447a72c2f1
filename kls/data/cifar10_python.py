"""Reads a batch of the Python version of CIFAR-10 without loading a pickle.

A batch is a pickled dict. Loading a pickle may call any function its author chose, so this module
walks over the opcodes with `pickletools.genops`, which only parses, and builds dicts, lists, tuples,
numbers and text itself. Functions named in the file are compared with a short list and never looked
up or called. Any other opcode or name is refused.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kls.errors import UserError

_NAMES = frozenset(
    {
        "_codecs encode",
        "numpy dtype",
        "numpy ndarray",
        "numpy.core.multiarray _reconstruct",
        "numpy._core.multiarray _reconstruct",
    }
)
MOST_OPCODES = 300_000  # a batch of 10,000 pictures takes up to 90,000


@dataclass(frozen=True)
class _Name:
    text: str


@dataclass
class _Call:
    """A call the file asks for, noted and not made, with the state it would set on the result."""

    function: str
    arguments: tuple[Any, ...]
    state: Any = None


def parse_python_batch(path: Path, content: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return labels (n,) and pixels (n, 3072), both uint8, of a batch file's `content`.

    Reads what Python 2 wrote for the official archive (protocol 2) and what Python 3 writes for the
    same dict with protocol 2.

    Raises:
        UserError: the file, `path`, is not such a batch, or asks for anything but a uint8 array.
    """
    try:
        batch = _build(content.tobytes())
        labels, pixels = batch["labels"], _array(batch["data"])
        if not isinstance(labels, list) or len(labels) != len(pixels):
            raise ValueError(f"it should hold a list of {len(pixels)} labels")
        return np.frombuffer(bytes(labels), dtype=np.uint8), pixels
    except (ValueError, LookupError, TypeError, AttributeError, Warning) as error:  # where warnings are errors
        reason = f"nothing under the key {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]
        raise UserError(f"{path} is not a CIFAR-10 batch of the Python version: {reason}") from error


def _build(data: bytes) -> Any:
    """Build the object that the pickle `data` describes, with `_Call` in place of calls."""
    stack: list[Any] = []
    below: list[list[Any]] = []  # the stacks that open marks have covered
    memo: dict[Any, Any] = {}

    def pop_last(count: int) -> list[Any]:
        if len(stack) < count:
            raise ValueError("it takes more from its stack than there is")
        values = stack[-count:]
        del stack[-count:]
        return values

    def pop_to_mark() -> list[Any]:
        nonlocal stack
        values, stack = stack, below.pop()
        return values

    for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if count >= MOST_OPCODES:
            raise ValueError(f"it has more than {MOST_OPCODES} opcodes")
        match opcode.name:
            case "PROTO" | "STOP":
                pass
            case "MARK":
                below.append(stack)
                stack = []
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case "BININT" | "BININT1" | "BININT2" | "SHORT_BINSTRING" | "BINSTRING" | "BINUNICODE":
                stack.append(argument)
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(pop_last(int(opcode.name[-1]))))
            case "TUPLE":
                values = pop_to_mark()
                stack.append(tuple(values))
            case "EMPTY_LIST":
                stack.append([])
            case "APPENDS":
                values = pop_to_mark()
                stack[-1].extend(values)
            case "EMPTY_DICT":
                stack.append({})
            case "SETITEMS":
                values = pop_to_mark()
                if not all(isinstance(key, str) for key in values[::2]):
                    raise ValueError("it has keys that are not texts")
                stack[-1].update(zip(values[::2], values[1::2], strict=True))
            case "GLOBAL":
                if argument not in _NAMES:
                    raise ValueError(f"it asks for {str(argument)[:60]!r}, which is never called")
                stack.append(_Name(str(argument)))
            case "REDUCE":
                name, arguments = pop_last(2)
                stack.append(_reduced(name.text, arguments))
            case "BUILD":
                call, state = pop_last(2)
                call.state = state
                stack.append(call)
            case other:
                raise ValueError(f"it uses the pickle opcode {other}, which such a batch does not need")
    return stack.pop()


def _reduced(function: str, arguments: tuple[Any, ...]) -> Any:
    """Text for `_codecs.encode(text, "latin1")`, in which Python 3 wraps byte strings; else a `_Call`."""
    if function == "_codecs encode":
        text, encoding = arguments
        if encoding != "latin1":
            raise ValueError("it holds text in another encoding than latin1")
        return text
    return _Call(function, arguments)


def _array(call: Any) -> NDArray[np.uint8]:
    """The uint8 array of a noted `_reconstruct` call; its state is that of `numpy.ndarray.__setstate__`.

    The bytes come as text, one character (0 to 255, "latin-1") for each byte.
    """
    match call:
        case _Call(
            "numpy.core.multiarray _reconstruct" | "numpy._core.multiarray _reconstruct",
            (_Name("numpy ndarray"), *_),
            (_, (int(rows), 3072), _Call("numpy dtype", ("u1", *_)), bool(fortran_order), str(text)),
        ):
            flat = np.frombuffer(text.encode("latin-1"), dtype=np.uint8)
            if rows < 0 or flat.size != rows * 3072:
                raise ValueError(f"its data are {flat.size} bytes, which are not {rows} rows of 3072")
            return flat.reshape((rows, 3072), order="F" if fortran_order else "C")
    raise ValueError("its data is not a uint8 array with 3072 columns")
