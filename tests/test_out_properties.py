"""Generated conditions, studies, sweeps and damage: each ends in success or in one clear line, in bounded time."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import string
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from generated_cases import share_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_runs import make_run

from kls.analysis.runs import Runs, read_history, read_runs
from kls.analysis.where import matching
from kls.config.project import project_root
from kls.config.study_file import Study, read_study
from kls.errors import UserError
from kls.records import checked, names
from kls.study.plan import plan, read_sweep_file

pytestmark = pytest.mark.slow

SECONDS = 5.0  # more than the slowest takes on a busy machine
ROOT = project_root()


def cases(n: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return settings(
        max_examples=share_of(n), derandomize=True, deadline=None, database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip


def told(work: Callable[[], object]) -> object:
    """What the work gives, or the one line that it ends with."""
    start = time.monotonic()
    try:
        found = work()
    except UserError as error:
        found = error
    assert time.monotonic() - start < SECONDS
    if isinstance(found, UserError):
        assert re.fullmatch(".{1,3000}", str(found))
    return found


ROW = {"status": "finished", "lam": 0.005, "model.hidden": "[50, 50]", "model.bn.enabled": True, "sigma": None, "n": 4}
WORDS = [
    *ROW, "hidden", "bn.enabled", "true", "null", "None", "and", "or", "not", "in", "not in", "is", "==", "!=", "<",
    "<=", ">", ">=", "=", ":=", "(", ")", "[", "]", "{", "}", ",", ".", "*", "**", "-", "~", "lambda", ":", "if",
    "for", "f'{lam}'", "b'x'", "'x'", '"', "'", "\\", "0", "1", "0.005", "1e999", "9" * 5000, "5j", "0x", "...",
    "__import__('os')", "@", "%", "\n", "\r", "\t", "\f", "\0", "#", ";", "é", "\ud800", "\u202e", "\x1b",
]  # fmt: skip
CONDITIONS = st.one_of(
    st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join),
    st.builds(lambda part, n: part * n, st.sampled_from(WORDS), st.integers(0, 12_000)),
)  # fmt: skip


@given(text=CONDITIONS)
@cases(500)
def test_conditions(text: str) -> None:
    runs = Runs(pd.DataFrame([ROW], dtype=object), list(ROW), [], {}, [])
    found = told(lambda: matching(runs.frame, text))
    if not isinstance(found, UserError):
        assert isinstance(found, pd.Series)
        assert found.tolist() in ([True], [False])


VALID = (ROOT / "conf" / "study" / "course_e.yaml").read_text(encoding="utf-8")
SWEEP = (ROOT / "sweeps" / "course_e.yaml").read_text(encoding="utf-8")
PIECES = st.sampled_from([
    "[", "]", "{", "}", "- ", "? ", ": ", "\n", "  ", "\t", "&a ", "*a", "!!python/object/apply:os.system ", "|", "'",
    "\0", "\x1b", "\ud800", "é", "1e999", "9" * 5000, ".nan", "null", "~", "<<: ", "%YAML", "---\n", "...\n", "#", '"',
    "a: &b [*b]", "-5", "2020-13-45", "[" * 3000, "  " * 400, "steps: []", "_target_", "../..", "=",
])  # fmt: skip
EDIT = st.tuples(st.integers(0, 10**6), st.integers(0, 3), PIECES, st.integers(0, 40))
EDITS = st.lists(EDIT, min_size=1, max_size=4)


def edited(text: str, edits: list[tuple[int, int, str, int]]) -> str:
    """Insertions, replacements, cuts and repetitions."""
    for place, kind, piece, length in edits:
        at = place % (len(text) + 1)
        if kind == 0:
            text = text[:at] + piece + text[at:]
        elif kind == 1:
            text = text[:at] + piece + text[at + length :]
        elif kind == 2:
            text = text[:at] + text[at + length :] if length % 2 else text[:at]
        else:
            text = text[:at] + text[at : at + length] * 20 + text[at + length :]
    return text


@given(edits=EDITS)
@cases(300)
def test_definitions_of_studies(edits: list[tuple[int, int, str, int]], tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(edited(VALID, edits).encode("utf-8", "surrogatepass"))
    found = told(lambda: read_study(path))
    if isinstance(found, Study):
        told(lambda: plan([found], Path("out"), [], True))


@given(edits=EDITS)
@cases(300)
def test_sweeps(edits: list[tuple[int, int, str, int]], tmp_path: Path) -> None:
    path = tmp_path / "sweeps" / "mine.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(edited(SWEEP, edits).encode("utf-8", "surrogatepass"))
    start = time.monotonic()
    with contextlib.suppress(UserError):  # a line a fault
        assert read_sweep_file(path)[1]
    assert time.monotonic() - start < SECONDS


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checksums, beside another that stays as it is."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        path = make_run(folder / str(seed), 0.278 + seed / 10, seed=seed, lam=10.0 ** -(3 + seed), history=4, test=0.25)
        checked.write_json(path / names.METRICS, json.loads((path / names.METRICS).read_text()))
        checked.write_yaml(path / names.CONFIG, yaml.safe_load((path / names.CONFIG).read_text()))
        with (path / names.HISTORY).open(newline="") as file:
            rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
        checked.write_csv(path / names.HISTORY, [row | {"step": int(row["step"])} for row in rows])
    return folder / "0"


DAMAGE = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 10**6), st.integers(0, 7)),
    st.tuples(st.just("cut"), st.integers(0, 10**6), st.just(0)),
    st.tuples(st.just("digit"), st.integers(0, 10**6), st.integers(0, 9)),
    st.tuples(st.just("byte"), st.integers(0, 10**6), st.integers(0, 255)),
    st.tuples(st.just("zeros"), st.integers(0, 10**6), st.integers(1, 4096)),
    st.tuples(st.just("line"), st.integers(0, 10**6), st.just(0)),
    st.tuples(st.just("twice"), st.integers(0, 10**6), st.integers(1, 200)),
)


def damaged(data: bytes, kind: str, place: int, how: int) -> bytes:
    at = place % len(data)
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ (1 << how)]) + data[at + 1 :]
    if kind == "cut":
        return data[:at]
    if kind == "digit":
        digits = [i for i, byte in enumerate(data) if byte in string.digits.encode()]
        at = digits[place % len(digits)]
        return data[:at] + str(how).encode() + data[at + 1 :]
    if kind == "byte":
        return data[:at] + bytes([how]) + data[at:]
    if kind == "zeros":
        return data[:at] + b"\0" * len(data[at : at + how]) + data[at + how :]
    if kind == "twice":
        return data[: at + how] + data[at:]
    lines = data.splitlines(keepends=True)
    return b"".join(line for i, line in enumerate(lines) if i != place % len(lines))


@given(name=st.sampled_from([names.METRICS, names.CONFIG]), damage=DAMAGE)
@cases(300)
def test_damage_to_the_records_of_a_run(name: str, damage: tuple[str, int, int], run: Path) -> None:
    """The table is without the run, or has its right values."""
    whole = (run / name).read_bytes()
    (run / name).write_bytes(damaged(whole, *damage))
    try:
        runs = read_runs([run.parent])
    finally:
        (run / name).write_bytes(whole)
    rows = sorted(zip(runs.frame["lam"], runs.frame["val_accuracy"], strict=True))
    if runs.warnings:
        (line,) = runs.warnings
        assert line.startswith(f"skipped: {run}")
        assert "\n" not in line
        assert [score for _, score in rows] == [0.378]
    else:
        assert rows == [(0.0001, rows[0][1]), (0.001, rows[1][1])]
        assert sorted(score for _, score in rows) == [0.278, 0.378]


@given(damage=DAMAGE)
@cases(400)
def test_damage_to_settings_and_history(damage: tuple[str, int, int], run: Path) -> None:
    reads = {
        names.CONFIG: lambda: checked.read_yaml(run / names.CONFIG),
        names.HISTORY: lambda: read_history(run).to_dict("records"),
    }
    for name, read in reads.items():
        expected: object = read()
        whole = (run / name).read_bytes()
        (run / name).write_bytes(damaged(whole, *damage))
        try:
            found = told(read)
        finally:
            (run / name).write_bytes(whole)
        assert isinstance(found, UserError) or found == expected
