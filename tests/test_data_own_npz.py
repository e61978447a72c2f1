"""A user's npz file: its arrays are taken as they are meant, or one line says what is wrong with them."""

from __future__ import annotations

import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kls.data import npz_file
from kls.data.dataset import DataSet
from kls.data.examples import Examples
from kls.data.load import load_dataset
from kls.data.source import Request
from kls.data.sources import SOURCES
from kls.data.standardise import Sizes
from kls.errors import UserError

Array = NDArray[Any]


def rows(n: int, d: int = 3) -> Array:
    """Numbers that are others at each place."""
    return (np.arange(n * d, dtype=np.float64) * 0.37 % 5.0).reshape(n, d)


def labels(n: int, k: int = 3) -> Array:
    return np.arange(n) % k


def arrays(**changes: Any) -> dict[str, Array]:
    """A valid file's content: 30 rows for training, 6 for test."""
    own = {"x_train": rows(30), "y_train": labels(30), "x_test": rows(6) + 1.0, "y_test": labels(6)}
    return {key: np.asarray(value) for key, value in (own | changes).items() if value is not None}


def saved(tmp_path: Path, compressed: bool = True, **changes: Any) -> Path:
    path = tmp_path / "mine.npz"
    (np.savez_compressed if compressed else np.savez)(path, **arrays(**changes))
    return path


def load(path: Path, **request: Any) -> Examples:
    return SOURCES["arrays"].load(Request(path.parent, path=path, **request))


def refusal(path: Path, **request: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(path, **request)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def data_of(path: Path, **changes: Any) -> DataSet:
    sizes = Sizes(*(changes.pop(key, None) for key in Sizes._fields))
    others = {"split_seed": 0, "dtype": np.float32} | changes
    return load_dataset("arrays", Request(path.parent, path=path), sizes, **others)


@pytest.mark.parametrize("compressed", [True, False])
def test_rows_and_whole_numbers(tmp_path: Path, compressed: bool) -> None:
    got = load(saved(tmp_path, compressed, y_train=labels(30) * 5 - 5, y_test=labels(6) * 5 - 5))
    assert (got.name, got.shape, got.class_names) == ("mine.npz", None, ("-5", "0", "5"))
    np.testing.assert_array_equal(got.train_x, rows(30))
    np.testing.assert_array_equal(got.test_x, rows(6) + 1.0)
    assert (got.train_x.dtype, got.train_y.tolist()) == (np.float64, labels(30).tolist())
    assert (got.test_y.tolist(), got.val_x, got.test_held_out) == ([0, 1, 2] * 2, None, None)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("uint8", "uint8"), ("bool", "uint8"), ("float16", "float32"), ("float32", "float32"), ("float64", "float64"),
        ("int64", "float64"), ("uint16", "float64"), (">f4", "float32"),
    ],
)  # fmt: skip
def test_types_of_numbers(given: str, taken: str, tmp_path: Path) -> None:
    x = (np.arange(90) % 2).reshape(30, 3).astype(given)
    got = load(saved(tmp_path, x_train=x, x_test=x[:6]))
    assert got.train_x.dtype == got.test_x.dtype == np.dtype(taken)
    np.testing.assert_array_equal(got.train_x, x.astype(taken))


def test_parts_of_several_types_get_the_widest(tmp_path: Path) -> None:
    got = load(saved(tmp_path, x_train=np.eye(30, 3, dtype=np.uint8), x_test=rows(6).astype(np.float32)))
    assert got.train_x.dtype == got.test_x.dtype == np.float32


@pytest.mark.parametrize(("shape", "expected"), [((4, 5), (1, 4, 5)), ((4, 5, 1), (1, 4, 5)), ((4, 5, 3), (3, 4, 5))])
def test_pictures_are_flattened_channels_first(
    shape: tuple[int, ...], expected: tuple[int, int, int], tmp_path: Path
) -> None:
    x = np.random.default_rng(0).integers(0, 256, (30, *shape), dtype=np.uint8)
    got = load(saved(tmp_path, x_train=x, x_test=x[:6]))
    assert (got.shape, got.train_x.dtype, got.kind) == (expected, np.uint8, "pictures")
    channels_first = x.reshape(30, 4, 5, -1).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(got.train_x, channels_first.reshape(30, -1))
    assert got.train_x.flags.c_contiguous


def test_texts_as_labels_in_their_order_or_that_of_the_names(tmp_path: Path) -> None:
    y = np.array(["pear", "apple", "fig"])[labels(30)]
    assert load(saved(tmp_path, y_train=y, y_test=y[:6])).class_names == ("apple", "fig", "pear")
    names = ["pear", "fig", "apple"]
    got = load(saved(tmp_path, y_train=y, y_test=y[:6], class_names=names))
    assert (got.class_names, got.train_y[:3].tolist()) == (tuple(names), [0, 2, 1])
    assert load(saved(tmp_path, class_names=names)).train_y[:3].tolist() == [0, 1, 2]


def test_names_cannot_move_a_cursor(tmp_path: Path) -> None:
    y = np.array(["a\x1b[2J", "b\nc"])[labels(30, 2)]
    assert load(saved(tmp_path, y_train=y, y_test=y[:6])).class_names == ("a\\x1b[2J", "b c")


def test_a_validation_part_of_its_own(tmp_path: Path) -> None:
    path = saved(tmp_path, x_val=rows(4) + 2.0, y_val=[2, 1, 0, 0])
    data = data_of(path, dtype=np.float64)
    assert (len(data.train.y), len(data.val.y), len(data.test.y)) == (30, 4, 6)
    np.testing.assert_allclose(data.val.x * data.sd + data.mean, rows(4) + 2.0, rtol=1e-12)
    assert data.val.y.tolist() == [2, 1, 0, 0]
    assert len(data_of(path, n_val=3).val.y) == 3
    with pytest.raises(UserError, match=r"^n_val is 5; mine.npz has 4 validation examples$"):
        data_of(path, n_val=5)


def test_validation_is_a_tenth_of_the_training_part(tmp_path: Path) -> None:
    data = data_of(saved(tmp_path))
    assert (len(data.train.y), len(data.val.y)) == (27, 3)


def test_a_test_part_is_held_out_by_class_and_seed(tmp_path: Path) -> None:
    n = np.array([100, 50, 10])
    y = np.repeat(np.arange(3), n)
    x = np.arange(160.0)[:, np.newaxis]
    path = saved(tmp_path, x_train=x, y_train=y, x_test=None, y_test=None)
    got = load(path)
    assert got.test_held_out == 0.2
    assert np.bincount(got.test_y).tolist() == [20, 10, 2]
    assert sorted([*got.train_x[:, 0], *got.test_x[:, 0]]) == x[:, 0].tolist()
    assert (got.test_y == y[got.test_x[:, 0].astype(int)]).all()
    assert load(path).test_x.tolist() == got.test_x.tolist() != load(path, seed=1).test_x.tolist()
    assert np.bincount(load(path, test_share=0.01).test_y).tolist() == [1, 1, 1]
    assert np.bincount(load(path, test_share=0.99).train_y).tolist() == [2, 2, 2]


def test_it_is_said_what_is_held_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert data_of(saved(tmp_path, x_test=None, y_test=None)).facts["test_held_out"] == 0.2
    assert caplog.messages == [
        "mine.npz has no test part: 20 % of each class are held out as one (data.test_share, by data.seed)"
    ]
    caplog.clear()
    assert "test_held_out" not in data_of(saved(tmp_path)).facts
    assert caplog.messages == []


def test_constant_columns_and_large_offsets(tmp_path: Path) -> None:
    x = np.column_stack([np.full(30, 0.1), 1e9 + np.arange(30.0), np.arange(30.0)])
    data = data_of(saved(tmp_path, x_train=x, x_test=x[:6]), n_val=1)
    assert (data.sd[0], data.mean[0]) == (1.0, 0.1)
    assert (data.train.x[:, 0] == 0.0).all()
    np.testing.assert_allclose(data.train.x[:, 1], data.train.x[:, 2], atol=1e-6)
    np.testing.assert_allclose(data.train.x[:, 2].std(), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"x_train": rows(30) + np.eye(30, 3) * 1e-9}, {"y_train": (labels(30) + 1) % 3}, {"x_test": rows(6)},
        {"y_train": labels(30) + 1, "y_test": labels(6) + 1}, {"x_train": rows(30).astype(np.float32)},
        {"x_train": rows(30).reshape(30, 1, 3), "x_test": (rows(6) + 1.0).reshape(6, 1, 3)},
    ],
    ids=["number", "label", "test", "names", "type", "shape"],
)  # fmt: skip
def test_the_fingerprint_tells_changed_files(changes: dict[str, Array], tmp_path: Path) -> None:
    before = data_of(saved(tmp_path)).fingerprint
    assert data_of(saved(tmp_path)).fingerprint == before
    assert data_of(saved(tmp_path, **changes)).fingerprint != before


NOT_FINITE = rows(30)
NOT_FINITE[[4, 9], 1] = np.nan, -np.inf

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"y_train": None}, "lacks y_train; its arrays are x_train, y_train, and perhaps x_val, y_val, x_test"),
    ({"y_test": None}, "lacks y_test;"),
    ({"x_tst": rows(3)}, "holds 'x_tst'; its arrays are"),
    ({"x_train": rows(30).astype("U8")}, "x_train holds <U8; examples are numbers"),
    ({"x_train": np.zeros(30)}, "x_train has shape (30,); it must be rows (n, d), or pictures (n, rows, columns)"),
    ({"x_train": np.zeros((30, 3, 4, 4))[:, :, :, [0] * 5]}, "x_train has shape (30, 3, 4, 5); it must be"),
    ({"x_test": np.zeros((0, 3)), "y_test": labels(0)}, "x_test has shape (0, 3); it must be"),
    ({"x_test": rows(6, 4)}, "an example of x_test has shape (4,), one of x_train has (3,)"),
    ({"x_train": NOT_FINITE}, "x_train has 2 values that are NaN or infinite, the first in row 4"),
    ({"y_train": labels(29)}, "y_train has shape (29,); for x_train it must be (30,)"),
    ({"y_test": np.eye(6)}, "y_test has shape (6, 6); for x_test it must be (6,)"),
    ({"y_train": labels(30) / 2}, "y_train holds float64; labels are whole numbers or texts"),
    ({"y_test": np.array(list("abcabc"))}, "y_test holds <U1 and y_train int64; give one kind"),
    ({"y_test": labels(6) + 1}, "y_test has the label '3' in row 2, which y_train does not have"),
    ({"class_names": ["a", "b"]}, "y_train has the label '2' in row 2, which class_names does not have"),
    ({"class_names": ["a", "b", "a"]}, "class_names has a name twice"),
    ({"class_names": [1, 2, 3]}, "class_names holds int64 (3,); it must be a list of texts"),
    ({"class_names": list("abcd")}, "class 'd' has 0 examples in y_train; each needs at least 2"),
    ({"y_train": np.zeros(30, int), "y_test": np.zeros(6, int)}, "all labels of y_train are '0'; there must be two"),
    ({"y_train": np.arange(30)}, "class '0' has 1 examples in y_train, and 29 more classes have too few; each needs"),
    ({"x_train": np.ones((30, 3))}, "no column of x_train varies; there is nothing to learn from"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_faults_of_arrays(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    assert refusal(saved(tmp_path, **changes)).startswith(message)


def test_too_few_of_a_class_to_hold_some_out(tmp_path: Path) -> None:
    y = np.append(np.zeros(28, int), [1, 1])
    path = saved(tmp_path, y_train=y, x_test=None, y_test=None)
    assert refusal(path) == (
        "class '1' has 2 examples in y_train; each needs at least 3, one of them for the test part that is held out"
    )


def test_numbers_too_large(tmp_path: Path) -> None:
    x = rows(30)
    x[:, 2] = np.where(labels(30), 1e300, -1e300)
    with pytest.raises(UserError, match=r"^column 2 of the training examples has numbers too large"):
        data_of(saved(tmp_path, x_train=x))


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    assert refusal(path) == f"data.path={path}: there is no such file"
    path.write_bytes(b"hello")
    assert refusal(path) == "does not hold whole arrays (File is not a zip file)"
    path.unlink()
    path.mkdir()
    assert refusal(path) == "is not a regular file"


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "mine.npz"
    np.savez(path, **arrays(), class_names=np.array([Evil(), Evil()], dtype=object))  # type: ignore[arg-type]
    assert refusal(path).startswith("does not hold whole arrays ('class_names.npy' is not an array of numbers or texts")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", pickle.dumps(Evil()))
    assert refusal(path).startswith("does not hold whole arrays ('x_train.npy' is not an array")
    assert not (tmp_path / "ran").exists()


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz_file, "memory_limit", lambda: 3 * 2**20)
    path = saved(tmp_path, x_train=np.zeros((30, 100_000)))
    assert path.stat().st_size < 100_000
    assert refusal(path) == "does not hold whole arrays (its arrays are larger than the memory)"


def test_a_cut_or_changed_compressed_file_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path)
    whole = path.read_bytes()
    for content in (whole[:-30], whole[: len(whole) // 2], bytes([*whole[:80], whole[80] ^ 64, *whole[81:]])):
        path.write_bytes(content)
        assert refusal(path).startswith("does not hold whole arrays (")
