"""kls.gradcheck: every network of conf/model passes, a wrong gradient does not, and the files tell by how much."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from entry_points import DATA, Array, Outcome, composed, gradcheck_in, python, run_folders

from kls.config.project import project_root
from kls.core.batch_norm import BatchNorm
from kls.records.checked import read_csv
from kls.training import gradient_table
from kls.training.gradient_table import GradientPair, table

COLUMNS = [
    "parameter", "shape", "largest_error", "mean_error", "sum_analytic", "sum_numeric", "sum_of_errors", "on_a_kink",
]  # fmt: skip
TINY = (*DATA, "gradcheck.dimensions=10")
LONG = "7layer_wider_bn"  # a minute, and 7layer_wide_bn with other numbers
MODELS = sorted({path.stem for path in (project_root() / "conf" / "model").glob("*.yaml")} - {"_base", LONG})


def check(cwd: Path, *arguments: str) -> tuple[Outcome, list[dict[str, str]]]:
    """The outcome, and the rows of gradients.csv."""
    outcome = gradcheck_in(cwd, *arguments)
    (folder,) = run_folders(cwd)
    assert (folder / "gradient_errors.png").read_bytes()[:4] == b"\x89PNG"
    return outcome, read_csv(folder / "gradients.csv")


def expected_shapes(hidden: list[int], bn: str | None, inputs: int = 10) -> dict[str, str]:
    """Shape of every parameter by name, in the order of the layers."""
    shapes = {}
    widths = [inputs, *hidden, 10]
    for layer, (m, n) in enumerate(itertools.pairwise(widths), start=1):
        last = layer == len(widths) - 1
        shapes[f"W{layer}"] = f"{m}x{n}"
        if last or bn != "before":
            shapes[f"b{layer}"] = f"{n}"
        if bn and not last:
            shapes[f"gamma{layer}"] = shapes[f"beta{layer}"] = f"{n}"
    return shapes


CASES = [
    pytest.param(model, placement, id=f"{model} {placement}")
    for model in MODELS
    for placement in (("before", "after")[: 1 if "wide" in model else 2] if model.endswith("_bn") else (None,))
]


@pytest.mark.parametrize(("model", "placement"), CASES)
@pytest.mark.slow
def test_every_model_passes(model: str, placement: str | None, cifar_root: Path, tmp_path: Path) -> None:
    place = [f"model.bn.placement={placement}"] if placement else []
    outcome, rows = check(tmp_path, *TINY, f"model={model}", *place)
    assert (outcome.status, outcome.err) == (0, "")
    assert list(rows[0]) == COLUMNS
    hidden = composed(f"model={model}")["model"]["hidden"]
    assert {row["parameter"]: row["shape"] for row in rows} == expected_shapes(hidden, placement)
    for row in rows:
        assert 0.0 <= float(row["mean_error"]) <= float(row["largest_error"]) < 1e-6
        size = np.prod([int(side) for side in row["shape"].split("x")])
        assert float(row["sum_of_errors"]) == pytest.approx(size * float(row["mean_error"]), rel=1e-9)
        assert float(row["sum_analytic"]) == pytest.approx(float(row["sum_numeric"]), abs=1e-6)
        assert row["on_a_kink"] == "0"
    assert sum(abs(float(row["sum_analytic"])) for row in rows) > 1e-3
    assert "within the tolerance of 1e-06" in outcome.out


@pytest.mark.parametrize(
    "settings",
    [
        ("model.label_smoothing=0.2", "lam=0.3"),
        ("model.dropout=0.5", "seed=3"),
        ("model.init.sigma=0.01", "gradcheck.pictures=12"),
        ("model.hidden=[]", "model.bn.enabled=false"),
        ("model.bn.statistics=adaptive", "dtype=float32"),
    ],
)
def test_other_settings_pass(settings: tuple[str, ...], cifar_root: Path, tmp_path: Path) -> None:
    outcome, rows = check(tmp_path, *TINY, "model.hidden=[8,6]", *settings)
    assert outcome.status == 0
    assert all(float(row["largest_error"]) < 1e-6 for row in rows)


def backward_off_by(relative: float) -> Any:
    backward = BatchNorm.backward

    def wrong(self: BatchNorm, delta: Array) -> None:
        backward(self, delta)
        delta *= 1.0 + relative

    return wrong


def test_a_slightly_wrong_gradient_fails(cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off by 1e-4 in the first layer is an error of 1e-4 / 2, as |ga| + |gn| is twice the gradient."""
    monkeypatch.setattr(BatchNorm, "backward", backward_off_by(1e-4))
    outcome, rows = check(tmp_path, *TINY, "model.hidden=[8]", "lam=0")
    assert (outcome.status, outcome.err) == (1, "")
    errors = {row["parameter"]: float(row["largest_error"]) for row in rows}
    assert errors.pop("W1") == pytest.approx(5e-5, rel=1e-3)
    assert max(errors.values()) < 1e-6
    assert "largest error 5.0e-05, ABOVE the tolerance of 1e-06" in outcome.out


def test_tolerance_decides(cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BatchNorm, "backward", backward_off_by(1e-4))
    outcome, _ = check(tmp_path, *TINY, "model.hidden=[8]", "lam=0", "gradcheck.tolerance=1e-4")
    assert outcome.status == 0


@pytest.mark.parametrize("part", ["gamma", "l2"])
def test_other_wrong_gradients_fail(
    part: str, cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if part == "gamma":
        backward = BatchNorm.backward

        def wrong(self: BatchNorm, delta: Array) -> None:
            backward(self, delta)
            self.gamma.gradient *= 1.001

        monkeypatch.setattr(BatchNorm, "backward", wrong)
    else:
        numerical = gradient_table.numerical_gradients
        monkeypatch.setattr(gradient_table, "numerical_gradients", lambda cost, lam: numerical(cost, lam / 2))
    outcome, rows = check(tmp_path, *TINY, "model.hidden=[8]")
    assert outcome.status == 1
    wrong_ones = {row["parameter"] for row in rows if float(row["largest_error"]) > 1e-6}
    assert wrong_ones == ({"gamma1"} if part == "gamma" else {"W1", "W2"})


def test_an_entry_on_a_kink_fails_and_is_counted(
    cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numerical = gradient_table.numerical_gradients

    def with_a_kink(*arguments: Any) -> dict[str, Array]:
        found = numerical(*arguments)
        found["W1"][3, 2] = np.nan
        return found

    monkeypatch.setattr(gradient_table, "numerical_gradients", with_a_kink)
    outcome, rows = check(tmp_path, *TINY, "model.hidden=[8]")
    assert outcome.status == 1
    assert {row["parameter"]: row["on_a_kink"] for row in rows if row["on_a_kink"] != "0"} == {"W1": "1"}
    assert all(float(row["largest_error"]) < 1e-6 for row in rows)


def test_exit_status_of_a_process(cifar_root: Path, tmp_path: Path) -> None:
    outcome = python(tmp_path, "-m", "kls.gradcheck", *TINY, "model.hidden=[8]", "gradcheck.tolerance=1e-300")
    assert (outcome.status, outcome.err) == (1, "")
    (folder,) = run_folders(tmp_path)
    rows = (folder / "gradients.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[0] for row in rows] == ["parameter", "W1", "gamma1", "beta1", "W2", "b2"]


def test_table_of_known_gradients() -> None:
    pairs = {
        "W1": GradientPair(np.array([[1.0, 2.0], [0.0, -4.0]]), np.array([[1.0, 2.2], [0.0, -4.0]])),
        "b1": GradientPair(np.array([1e-5, 3.0]), np.array([-1e-5, np.nan])),
    }
    w, b = table(pairs, 1e-3)
    assert list(w) == COLUMNS
    assert (w["parameter"], w["shape"], w["on_a_kink"]) == ("W1", "2x2", 0)
    assert w["largest_error"] == pytest.approx(0.2 / 4.2)
    assert w["mean_error"] == pytest.approx(0.2 / 4.2 / 4)
    assert (w["sum_analytic"], w["sum_numeric"]) == (-1.0, pytest.approx(-0.8))
    assert (b["parameter"], b["shape"], b["on_a_kink"]) == ("b1", "2", 1)
    assert b["largest_error"] == b["mean_error"] == b["sum_of_errors"] == pytest.approx(2e-5 / 1e-3)
