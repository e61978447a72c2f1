"""A run's folder: what is written is read back bit for bit, damage is told in one line, nothing is pickled."""

from __future__ import annotations

import csv
import json
import math
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from entry_points import arrays_of, composed, config_of, metrics_of

from kls.config.validation import validate
from kls.errors import UserError
from kls.records import names
from kls.records.run_folder import RunFolder

AWKWARD = (0.1 + 0.2, 1e-300, -0.0, 1 / 3, 123456789.123456789, 5e-324)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def refusal(read: Any, *arguments: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rows(n: int) -> list[dict[str, float]]:
    return [
        {column: i if column == "step" else AWKWARD[(i + k) % 6] for k, column in enumerate(names.HISTORY_COLUMNS)}
        for i in range(n)
    ]


def test_history_keeps_every_bit_and_the_order_of_columns(run: RunFolder) -> None:
    run.write_history(rows(7))
    assert [{k: v.hex() if isinstance(v, float) else v for k, v in row.items()} for row in run.read_history()] == [
        {k: v.hex() if isinstance(v, float) else v for k, v in row.items()} for row in rows(7)
    ]
    with (run.path / "history.csv").open(newline="", encoding="utf-8") as file:
        assert tuple(next(csv.reader(file))) == (
            "step", "epoch", "eta",
            "train_loss", "train_cost", "train_accuracy", "val_loss", "val_cost", "val_accuracy", "checksum",
        )  # fmt: skip
    run.write_history([])
    assert run.read_history() == []


@pytest.mark.parametrize("content", ["", "step,epoch\n1,2\n", "{header}\n1,2\n", "{header}\n1,x,0,0,0,0,0,0,0\n", None])
def test_damaged_history(content: str | None, run: RunFolder) -> None:
    path = run.path / "history.csv"
    if content is not None:
        path.write_text(content.format(header=",".join(names.HISTORY_COLUMNS)), encoding="utf-8")
    assert refusal(run.read_history).startswith(f"{path}: ")


def test_config_survives_yaml(run: RunFolder) -> None:
    config = composed("lam=1e-12", "name='2020'", "model.dropout=[0.1,0]", "optimizer.schedule.eta_min=1e-5")
    run.write_config(validate(config).model_dump())
    assert run.read_config() == {key: value for key, value in config.items() if key != "storage"}
    assert (run.read_config()["lam"], run.read_config()["name"]) == (1e-12, "2020")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "{folder}: not a run's folder, it has no config.yaml"),
        (b"a: [1", "{folder}/config.yaml: not valid YAML ("),
        (b"\xff\xfe\xff", "{folder}/config.yaml: not a text in UTF-8 ("),
        (b"", "{folder}/config.yaml: holds no settings"),
        (b"- 1\n- 2\n", "{folder}/config.yaml: holds no settings"),
        (b"!!python/object/apply:os.system ['echo']", "{folder}/config.yaml: not valid YAML ("),
    ],
)
def test_damaged_config(content: bytes | None, fault: str, run: RunFolder) -> None:
    if content is not None:
        (run.path / names.CONFIG).write_bytes(content)
    assert refusal(run.read_config).startswith(fault.format(folder=run.path))


def test_metrics_are_plain_json(run: RunFolder) -> None:
    assert run.read_metrics() == {}
    run.write_metrics({"val_accuracy": np.float32(0.5), "steps": np.int64(3), "test_loss": math.nan, "message": "é"})
    assert run.read_metrics() == {"val_accuracy": 0.5, "steps": 3, "test_loss": None, "message": "é"}
    text = (run.path / names.METRICS).read_text(encoding="utf-8")
    assert {key: value for key, value in json.loads(text).items() if key != "checksum"} == run.read_metrics()
    assert "NaN" not in text


@pytest.mark.parametrize(("content", "fault"), [("{", "not valid JSON ("), ("[1]", "holds no JSON object")])
def test_damaged_metrics(content: str, fault: str, run: RunFolder) -> None:
    path = run.path / names.METRICS
    path.write_text(content, encoding="utf-8")
    assert refusal(run.read_metrics).startswith(f"{path}: {fault}")


def test_checkpoints_keep_every_bit(run: RunFolder) -> None:
    state = {
        "W1": np.array([AWKWARD], np.float64), "b1": np.array(AWKWARD, np.float32), "step": np.array(7),
        "started": np.array(True), "dropout_rng": np.array('{"é": 1}'),
    }  # fmt: skip
    run.write_checkpoint(names.LAST, state)
    assert run.has(names.LAST)
    assert not run.has(names.BEST)
    found = run.read_checkpoint(names.LAST)
    assert found.keys() == state.keys()
    for name, value in state.items():
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
        assert found[name].tobytes() == value.tobytes()


def test_checkpoints_never_hold_or_load_pickled_objects(run: RunFolder) -> None:
    with pytest.raises(ValueError, match="allow_pickle=False"):
        run.write_checkpoint(names.LAST, {"x": np.array([{}], object)})
    assert list(run.path.iterdir()) == []

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (run.path.joinpath("sprung").touch, ())

    with (run.path / names.LAST).open("wb") as file:
        np.savez(file, allow_pickle=True, x=np.array([Trap()], object))
    assert refusal(run.read_checkpoint, names.LAST).startswith(f"{run.path / names.LAST}: ")
    (run.path / names.LAST).write_bytes(pickle.dumps(Trap()))
    assert refusal(run.read_checkpoint, names.LAST).startswith(f"{run.path / names.LAST}: ")
    assert not (run.path / "sprung").exists()


@pytest.mark.parametrize("damage", ["missing", "empty", "cut off", "one bit", "not an archive", "not an array"])
def test_damaged_checkpoints(damage: str, run: RunFolder) -> None:
    path = run.path / names.LAST
    run.write_checkpoint(names.LAST, {"W1": np.arange(1000.0)})
    content = bytearray(path.read_bytes())
    match damage:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "cut off":
            path.write_bytes(content[:-100])
        case "one bit":
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        case "not an archive":
            path.write_text("hello", encoding="utf-8")
        case _:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("W1.npy", "hello")
    expected = "there is no checkpoint yet" if damage == "missing" else ""
    assert refusal(run.read_checkpoint, names.LAST).startswith(f"{path}: {expected}")


def test_a_finished_run_is_read_back(finished_run: Path) -> None:
    run = RunFolder(finished_run)
    assert run.read_config() == config_of(finished_run) == yaml.safe_load((finished_run / names.CONFIG).read_text())
    assert run.read_metrics() == metrics_of(finished_run)
    assert run.read_history()[-1]["val_accuracy"] == run.read_metrics()[names.VAL_ACCURACY]
    last = run.read_checkpoint(names.LAST)
    assert {key: value.tobytes() for key, value in last.items()} == {
        key: value.tobytes() for key, value in arrays_of(finished_run).items()
    }
    assert all(value.dtype.kind in "fibU" for value in last.values())
    assert {path.name for path in finished_run.iterdir() if path.name.startswith(".")} == {".hydra", ".lock"}


@pytest.mark.parametrize(
    ("split", "quantity", "key"), [("test", "accuracy", "test_accuracy"), ("val", "loss", "val_loss")]
)
def test_names_of_scores(split: str, quantity: str, key: str) -> None:
    assert names.metric(split, quantity) == key
    assert names.VAL_ACCURACY == "val_accuracy"
    assert set(names.HISTORY_COLUMNS[3:]) == {names.metric(s, q) for s in ("train", "val") for q in names.QUANTITIES}
