"""The registry: each data set is a module that says what is known of it, and a file of conf/data."""

from __future__ import annotations

import math
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from local_server import NO_PROXY, send, server
from made_up_files import N_TEST, N_TRAIN, cifar100_archive, idx_files, mat_files, pixels, published

from kls.config.project import project_root
from kls.data import sources
from kls.data.examples import Examples
from kls.data.source import Request
from kls.data.sources import SOURCES, cifar100, fashion_mnist, mnist, source_named, svhn
from kls.errors import UserError

FETCHED: dict[ModuleType, list[bytes]] = {
    cifar100: [cifar100_archive()], mnist: idx_files(), fashion_mnist: idx_files(), svhn: mat_files(),
}  # fmt: skip
FOLDERS = {cifar100: ".", mnist: "mnist", fashion_mnist: "fashion-mnist", svhn: "svhn"}
every_fetched = pytest.mark.parametrize("source", FETCHED, ids=lambda module: module.__name__.rpartition(".")[2])


def loaded(source: ModuleType, root: Path, download: bool = True) -> Examples:
    return source.SOURCE.load(Request(root, download))


def remotes_of(source: ModuleType) -> list[sources.Source]:
    return list(getattr(source, "REMOTES", None) or [source.REMOTE])


def test_every_source_has_a_file_of_its_name() -> None:
    files = {path.stem for path in (project_root() / "conf" / "data").glob("[!_]*.yaml")}
    assert files == set(SOURCES)


def test_a_module_is_all_that_a_source_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("from kls.data.source import Source\nSOURCE = Source('Mine', len, len)\n")
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path)])
    before = {name: module for name, module in sys.modules.items() if name.startswith("kls.data.sources")}
    spec = sources.__spec__
    assert spec is not None
    assert spec.loader is not None
    try:
        spec.loader.exec_module(sources)
        assert set(sources.SOURCES) - set(SOURCES) == {"mine"}
        assert sources.SOURCES["mine"].name == "Mine"
    finally:
        sys.modules.pop("kls.data.sources.mine", None)
        sys.modules.update(before)
        monkeypatch.undo()
        spec.loader.exec_module(sources)


def test_what_is_known_before_anything_is_read() -> None:
    known = {name: (s.n_train, s.n_test, s.shape, s.n_classes, s.made_up, s.kind) for name, s in SOURCES.items()}
    assert known == {
        "arrays": (None, None, None, None, False, "examples"),
        "cifar10": (50_000, 10_000, (3, 32, 32), 10, False, "pictures"),
        "cifar100": (50_000, 10_000, (3, 32, 32), 100, False, "pictures"),
        "fashion_mnist": (60_000, 10_000, (1, 28, 28), 10, False, "pictures"),
        "mnist": (60_000, 10_000, (1, 28, 28), 10, False, "pictures"),
        "svhn": (73_257, 26_032, (3, 32, 32), 10, False, "pictures"),
        "synthetic": (50_000, 10_000, (3, 32, 32), 10, True, "pictures"),
    }
    for source in map(import_module, (f"kls.data.sources.{name}" for name in set(SOURCES) - {"arrays"})):
        assert len(set(source.CLASS_NAMES)) == source.SOURCE.n_classes


def test_sources_by_the_names_of_results() -> None:
    assert source_named("synthetic-10 (seed 3)") is source_named("synthetic-10") is SOURCES["synthetic"]
    assert source_named("CIFAR-10") is SOURCES["cifar10"]
    assert source_named("CIFAR-100") is SOURCES["cifar100"]
    assert [source_named(name) for name in ("CIFAR-10.npz", "synthetic-10 (seed 3).npz", "", "x")] == [None] * 4


@every_fetched
def test_what_is_published_is_pinned(source: ModuleType) -> None:
    for remote in remotes_of(source):
        assert len(remote.sha256) == 64
        assert remote.size > 1000
        assert remote.url.startswith("http")


@every_fetched
def test_files_are_fetched_once_and_read(
    source: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in NO_PROXY.items():
        monkeypatch.setenv(name, value)
    contents = FETCHED[source]
    by_name = {remote.name: content for remote, content in zip(remotes_of(source), contents, strict=True)}
    with server(lambda handler, _: send(handler, by_name[handler.path[1:]])) as (url, requests):
        published(monkeypatch, source, contents, url)
        first = loaded(source, tmp_path / "root")
        again = loaded(source, tmp_path / "root", download=False)
    assert requests == [f"/{remote.name}" for remote in remotes_of(source)]
    assert capfd.readouterr() == ("", "")
    d = math.prod(source.SOURCE.shape)
    for got in (first, again):
        assert (got.name, got.shape, got.class_names) == (source.SOURCE.name, source.SOURCE.shape, source.CLASS_NAMES)
        np.testing.assert_array_equal(got.train_x, pixels(N_TRAIN, d))
        np.testing.assert_array_equal(got.test_x, pixels(N_TEST, d))
        assert got.train_x.flags.c_contiguous
    step = {cifar100: 8}.get(source, 1)
    labels = (np.arange(N_TRAIN) * step + (source is svhn)) % source.SOURCE.n_classes
    assert first.train_y.tolist() == labels.tolist()
    assert first.test_y.tolist() == labels[:N_TEST].tolist()
    assert all(path.is_file() for path in source.SOURCE.files(Request(tmp_path / "root")))


@every_fetched
def test_without_files_or_connection_a_line_says_what_to_do(source: ModuleType, tmp_path: Path) -> None:
    folder, remote = tmp_path / FOLDERS[source], remotes_of(source)[0]
    with pytest.raises(UserError) as caught:
        loaded(source, tmp_path, download=False)
    line = f"{source.SOURCE.name} is not in {folder} and downloading is off: put {remote.name} from {remote.url}"
    assert str(caught.value).startswith(line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", [mnist, svhn], ids=["mnist", "svhn"])
def test_a_file_that_is_not_the_official_one_is_refused_or_replaced(
    source: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in NO_PROXY.items():
        monkeypatch.setenv(name, value)
    contents, folder = FETCHED[source], tmp_path / FOLDERS[source]
    folder.mkdir()
    for remote, content in zip(remotes_of(source), contents, strict=True):
        (folder / remote.name).write_bytes(content)
    path = folder / remotes_of(source)[1].name
    damaged = bytearray(contents[1])
    damaged[-9] ^= 1
    path.write_bytes(damaged)
    with server(lambda handler, _: send(handler, contents[1])) as (url, requests):
        published(monkeypatch, source, contents, url)
        with pytest.raises(UserError) as caught:
            loaded(source, tmp_path, download=False)
        hint = f"put {path.name} from {url}/{path.name} into {folder}"
        assert str(caught.value) == f"{path} is not the official file and downloading is off: {hint}"
        assert path.read_bytes() == damaged
        assert len(loaded(source, tmp_path).train_x) == N_TRAIN
    assert requests == [f"/{path.name}"]
    assert path.read_bytes() == contents[1]
    assert path.with_name(f"{path.name}.damaged").read_bytes() == damaged


@pytest.mark.parametrize("source", [mnist, svhn], ids=["mnist", "svhn"])
@pytest.mark.parametrize("content", [b"", b"hello" * 100, idx_files()[1], mat_files()[1]])
def test_an_official_file_of_another_content_is_told(
    source: ModuleType, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents, folder = [content, *FETCHED[source][1:]], tmp_path / FOLDERS[source]
    folder.mkdir()
    published(monkeypatch, source, contents)
    for remote, bytes_ in zip(remotes_of(source), contents, strict=True):
        (folder / remote.name).write_bytes(bytes_)
    with pytest.raises(UserError, match=f"^{folder / remotes_of(source)[0].name} (does not hold|cannot be)"):
        loaded(source, tmp_path, download=False)
