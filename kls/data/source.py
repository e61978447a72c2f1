"""What every source of labelled examples tells of itself, before anything is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kls.data.examples import Examples
from kls.records.escape import shortened

LONGEST_SHOWN = 200  # characters of what is given in a message


@dataclass(frozen=True)
class Request:
    """What settings ask of a source.

    root: folder of data files and of caches. download: whether they may be fetched into it.
    seed: of what is made up, and of a test part that is held out, of the share `test_share`.
    path: the user's file, absolute. target: the column of its classes, if it is a table.
    """

    root: Path
    download: bool = False
    seed: int = 0
    path: Path | None = None
    target: str | None = None
    test_share: float = 0.2


def refuse_a_file(path: str | None, target: str | None) -> None:
    """Raises ValueError if a file is named, of a source that reads none of the user's."""
    if path is not None or target is not None:
        given = f"path={path}" if path is not None else f"target={target}"
        raise ValueError(f"{shortened(given, LONGEST_SHOWN)} is for files of your own: take data=arrays")


@dataclass(frozen=True)
class Source:
    """A data set that can be trained on; what only its files say is None.

    name: as results show it. load: its examples; raises UserError.
    files: the files that alone decide, with the request, what `load` gives, of those that are there.
    n_train, n_test: examples in its training and its test part. shape: channels, rows and columns of its pictures.
    n_classes: how many there are. made_up: whether its numbers are no results on anything real.
    check: raises ValueError if it cannot read a file of that path, with the classes in that column.
    """

    name: str
    load: Callable[[Request], Examples]
    files: Callable[[Request], list[Path]]
    n_train: int | None = None
    n_test: int | None = None
    shape: tuple[int, int, int] | None = None
    n_classes: int | None = None
    made_up: bool = False
    check: Callable[[str | None, str | None], None] = refuse_a_file

    @property
    def kind(self) -> str:
        """What its examples are called."""
        return "examples" if self.shape is None else "pictures"


class Published(Protocol):
    """A data set of pictures in one of the layouts that several are published in."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, int, int]: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def n_train(self) -> int: ...
    @property
    def n_test(self) -> int: ...
    def load(self, root: Path, download: bool = True) -> Examples: ...
    def files(self, root: Path) -> list[Path]: ...


def published(made: Callable[[], Published]) -> Source:
    """The source of a data set that ``made`` describes."""
    known = made()
    return Source(
        name=known.name,
        load=lambda request: made().load(request.root, request.download),
        files=lambda request: made().files(request.root),
        n_train=known.n_train,
        n_test=known.n_test,
        shape=known.shape,
        n_classes=len(known.class_names),
    )
