"""Damaged files below the folders that tables and reports are made of: a line a run, which is left out, and no more."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from entry_points import Outcome, call
from made_up_runs import make_run, make_sweep

from kls import aggregate
from kls.records import checked, names
from kls.report import __main__ as report

pytestmark = pytest.mark.slow


def write_checked(folder: Path) -> None:
    """The records of a made-up run again, with checksums."""
    checked.write_json(folder / names.METRICS, json.loads((folder / names.METRICS).read_text()))
    checked.write_yaml(folder / names.CONFIG, yaml.safe_load((folder / names.CONFIG).read_text()))


def changed(old: str, new: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change


def holding(content: bytes | str) -> Callable[[Path], None]:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data) and None


def cut(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: 2 * len(lines) // 3]))


def zeros(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(10**12)


def metrics(**values: object) -> Callable[[Path], None]:
    """Metrics without a checksum, with other values."""

    def change(path: Path) -> None:
        content = checked.read_json(path)
        path.write_text(json.dumps(content | values))

    return change


ANYWHERE = [holding(""), holding(b"\xff\xfe\x00"), zeros, cut, a_folder, a_loop, a_pipe, a_device, huge]
METRICS = [
    changed("0.278", "0.978"), changed('"finished"', '"diverged"'), changed('"cifar', '"cifas'), holding("[]"),
    holding('"x"'), holding("[" * 100_000), holding('{"a":' * 100_000), holding('{"val_accuracy": ' + "9" * 5000 + "}"),
    metrics(val_accuracy=3.35), metrics(val_accuracy="0.5"), metrics(val_accuracy=[0.5]), metrics(val_accuracy=True),
    metrics(val_accuracy=-0.1), metrics(val_accuracy=10**400), metrics(val_accuracy=None), metrics(status=["finished"]),
    metrics(status={}), metrics(train_accuracy=3.35), metrics(data=7), metrics(data_fingerprint=["x"]),
    metrics(n_train="x"), metrics(steps=-1), metrics(seconds="x"), metrics(val_loss="x"), metrics(val_loss=10**400),
    metrics(population=1.5), metrics(message={"a": 1}), metrics(val_accuracy=float("nan")),
    changed('"val_accuracy": 0.278', '"val_accuracy": NaN'), metrics(seconds=float("nan")),
]  # fmt: skip
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
CONFIGS = [
    changed("lam: 0.005", "lam: 0.05"), holding("- 1\n"), holding("lam"), holding(LAUGHS),
    holding("lam: !!python/object/apply:os.system [touch made]\n"), holding("lam: " + "[" * 200_000),
    holding("? " * 100_000), holding("- " * 100_000), holding("[\n" * 100_000),
    holding("lam: 2020-13-45\n"), holding("lam: " + "9" * 5000), holding("".join(f"{' ' * i}a:\n" for i in range(600))),
]  # fmt: skip


def make_runs(folder: Path, older: bool) -> Path:
    for seed, score in enumerate((0.5, 0.278, 0.52)):
        write_checked(make_run(folder / str(seed), score, seed=seed, history=2, data="cifar", older=older))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return make_runs(tmp_path / "runs", older=False)


def table(folder: Path) -> list[tuple[str, str, str]]:
    with (folder / names.RUNS_TABLE).open(encoding="utf-8") as file:
        return [(row["folder"], row["seed"], row["val_accuracy"]) for row in csv.DictReader(file)]


def told(folder: Path) -> list[str]:
    """What the tables say that they could not read."""
    _, _, list_ = (folder / names.SUMMARY).read_text(encoding="utf-8").partition("What could not be read</summary>")
    return [line.removeprefix("- ") for line in list_.splitlines() if line.startswith("- ")]


def assert_left_out(outcome: Outcome, lines: list[str], path: Path) -> None:
    assert (outcome.status, outcome.err) == (0, "")
    (line,) = lines
    assert str(path.parent) in line
    assert len(line) < 700
    assert "Traceback" not in outcome.out + outcome.err


CASES = [(name, damage) for name in (names.METRICS, names.CONFIG) for damage in ANYWHERE]
CASES += [*((names.METRICS, damage) for damage in METRICS), *((names.CONFIG, damage) for damage in CONFIGS)]


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_a_damaged_run_is_told_in_a_line_and_left_out(
    name: str, damage: Callable[[Path], None], tmp_path: Path
) -> None:
    runs = make_runs(tmp_path / "runs", older=name == names.CONFIG)  # whose settings are there alone
    damage(runs / "1" / name)
    outcome = call(aggregate.main, ("runs", "--out", "tables", "--curves", "0"), tmp_path)
    assert_left_out(outcome, told(tmp_path / "tables"), Path("runs") / "1" / name)
    assert table(tmp_path / "tables") == [("0", "0", "0.5"), ("2", "2", "0.52")]
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "damage", [*ANYWHERE[:3], *ANYWHERE[4:7], changed("0.1", "3.1"), changed("450", "0"), changed("450", "x")]
)
def test_a_damaged_history_has_no_curve(damage: Callable[[Path], None], runs: Path, tmp_path: Path) -> None:
    damage(runs / "1" / names.HISTORY)
    outcome = call(aggregate.main, ("runs", "--out", "tables", "--by", "seed"), tmp_path)
    assert_left_out(outcome, told(tmp_path / "tables"), Path("runs") / "1" / names.HISTORY)
    assert [row[0] for row in table(tmp_path / "tables")] == ["0", "1", "2"]
    assert call(report.main, ("runs", "--out", "page"), tmp_path).status == 0
    assert f"no curve: runs/1/{names.HISTORY}: " in (tmp_path / "page" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("damage", [*ANYWHERE, holding("[]"), holding('{"stages": 3}'), holding('{"stages": [[1]]}')])
def test_a_damaged_sweep_record(damage: Callable[[Path], None], runs: Path, tmp_path: Path) -> None:
    make_sweep(runs, [{"name": "grid"}], overrides=["lam=1"])
    (runs / "grid").mkdir()
    (runs / "0").rename(runs / "grid" / "0")
    damage(runs / names.SWEEP)
    outcome = call(aggregate.main, ("runs", "--out", "tables"), tmp_path)
    assert (outcome.status, outcome.err) == (0, "")
    assert len(told(tmp_path / "tables")) == (runs / names.SWEEP).is_file()
    assert len(table(tmp_path / "tables")) == 3


def test_a_tree_without_end(tmp_path: Path) -> None:
    """Links that lead back, folders below folders below folders, and a folder that may not be read."""
    make_run(tmp_path / "runs" / "0")
    (tmp_path / "runs" / "back").symlink_to(tmp_path / "runs")
    (tmp_path / "runs" / "loop").symlink_to("loop")
    deep = tmp_path / "runs"
    for _ in range(1199):
        deep /= "a"
        deep.mkdir()
    deep = make_run(deep / "a", seed=1)
    outcome = call(aggregate.main, ("runs", "--out", "tables", "--curves", "0"), tmp_path)
    for path in deep.iterdir():
        path.unlink()
    while deep != tmp_path / "runs":  # which no recursion could remove
        deep.rmdir()
        deep = deep.parent
    assert (outcome.status, outcome.err) == (0, "")
    assert len(table(tmp_path / "tables")) == 2
