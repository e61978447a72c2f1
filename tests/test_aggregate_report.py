"""The whole way from folders to files and printed text, by the function and by the command line."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from entry_points import call, mistake
from made_up_runs import make_failed_start, make_run, make_sweep

from kls import aggregate as command
from kls.errors import UserError
from kls.report.page import Options
from kls.report.summary import aggregate


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A search for lam in two stages, confirmed with three seeds; one run diverged, one failed."""
    stages: list[dict[str, Any]] = [
        {
            "name": "coarse", "trials": 3, "sampler": "random", "status": "finished", "confirm": False,
            "params": {"lam": {"low": 1e-4, "high": 0.1, "scale": "log", "values": None, "source": "given"}},
            "edge": ["lam: the best, 0.01, is the largest value tried"],
        },
        {"name": "confirm", "trials": 4, "sampler": "grid", "status": "running", "params": {}, "confirm": True},
    ]  # fmt: skip
    folder = make_sweep(
        tmp_path / "s", stages, overrides=["data=cifar10", "lam=1"], status="running", metric="val_accuracy"
    )
    make_run(folder / "coarse" / "0", 0.40, lam=0.001, history=3)
    make_run(folder / "coarse" / "1", 0.50, lam=0.01, history=3)
    make_run(folder / "coarse" / "2", 0.10, lam=0.1, status="diverged", message="lost\nat step 3")
    for seed, score in enumerate((0.51, 0.53, 0.55)):
        make_run(folder / "confirm" / str(seed), score, test=score - 0.01, lam=0.01, seed=seed, history=6)
    make_failed_start(folder / "confirm" / "3", "no room", ["lam=0.01", "seed=3"])
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_the_text_of_a_sweep(sweep: Path) -> None:
    text = aggregate([sweep], sweep)
    # sd of 51, 53, 55 is 2; the half of the interval is 4.302652729749462 * 2 / sqrt(3) = 4.968
    begin, _, reason = text.partition("  no curve: ")
    assert begin == (
        f"Runs of {sweep}\n{'=' * len(f'Runs of {sweep}')}\n"
        """
Sweep s, running
stage    status    sampler      runs    best validation accuracy  searched
-------  --------  ---------  ------  --------------------------  -----------------------
coarse   finished  random     3 of 3             50.00 % (n = 1)  lam 0.0001 to 0.1 (log)
confirm  running   grid       4 of 4      53.00 ± 2.00 % (n = 3)  -
EDGE: stage coarse: lam: the best, 0.01, is the largest value tried
picture search.png: Validation accuracy of every trial; bars at the bottom are the intervals searched.

CIFAR-10, 20 epochs
7 runs: 5 finished, 1 diverged, 1 failed.
stage    lam      validation accuracy %    95 % interval     test accuracy %    diverged    failed
-------  -----  -----------------------  ---------------  ------------------  ----------  --------
confirm  0.01        53.00 ± 2.00 (n=3)   48.03 to 57.97  52.00 ± 2.00 (n=3)                     1
coarse   0.01               50.00 (n=1)                -                   -
coarse   0.001              40.00 (n=1)                -                   -
coarse   0.1                10.00 (n=1)                -                   -           1
Means over seed. 1 run diverged and counts as chance.
picture curves.png: Learning curves: CIFAR-10, 20 epochs; means over seed, with bands of one standard deviation.
picture means.png: Validation accuracy by lam: CIFAR-10, 20 epochs; a bar is the 95 % interval of the mean.

Runs that diverged or have no result
  coarse/2: diverged: lost at step 3
  confirm/3: failed: no room

What could not be read
"""
    )
    assert re.sub(r"\s+", "", reason).startswith(f"{sweep}/coarse/2/history.csv:cannotbereadasahistory(FileNotFound")
    tables = "runs.csv, summary.csv, summary.md, summary.tex"
    assert text.splitlines()[-1] == f"written to {sweep}: {tables}, curves.png, means.png, search.png"


def test_the_files_of_a_sweep(sweep: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    aggregate([sweep], out, Options(curves=2))
    pictures = [f"{name}.{kind}" for name in ("curves", "means", "search") for kind in ("pdf", "png", "svg")]
    tables = ["runs.csv", "summary.csv", "summary.md", "summary.tex"]
    assert sorted(path.name for path in out.iterdir()) == sorted(pictures + tables)
    assert sorted(path.name for path in sweep.iterdir()) == ["coarse", "confirm", "sweep.json"]
    runs = rows_of(out / "runs.csv")
    assert [row["folder"] for row in runs] == [
        "coarse/0", "coarse/1", "coarse/2", "confirm/0", "confirm/1", "confirm/2", "confirm/3",
    ]  # fmt: skip
    assert runs[5].items() >= {"stage": "confirm", "trial": "2", "seed": "2", "val_accuracy": "0.55"}.items()
    assert runs[6].items() >= {"status": "failed", "message": "no room", "lam": "0.01", "val_accuracy": ""}.items()
    groups = rows_of(out / "summary.csv")
    assert [(row["stage"], row["lam"], row["n_failed"]) for row in groups][:2] == [
        ("confirm", "0.01", "1"), ("coarse", "0.01", "0"),
    ]  # fmt: skip
    assert float(groups[0]["val_accuracy_mean"]) == pytest.approx(0.53, rel=1e-15)
    assert float(groups[0]["val_accuracy_low"]) == pytest.approx(0.53 - 4.302652729749462 * 0.02 / 3**0.5, rel=1e-12)
    assert groups[1]["val_accuracy_sd"] == ""
    markdown = (out / "summary.md").read_text(encoding="utf-8")
    assert "\nEDGE: stage coarse: lam: the best, 0.01, is the largest value tried\n" in markdown
    assert re.search(r"\| confirm +\| 0\.01 +\| +53\.00 ± 2\.00 \(n=3\) \|", markdown)
    assert all(f"]({name})" in markdown for name in pictures if name.endswith("png"))
    latex = (out / "summary.tex").read_text(encoding="utf-8")
    assert "\\caption{Validation accuracy \\% on CIFAR-10, mean $\\pm$ standard deviation (n = 1 to 3)." in latex
    assert "\\label{tab:cifar-10-20-epochs}" in latex
    assert "confirm & 53.00 $\\pm$ 2.00 \\\\" in latex


def test_full_precision_in_csv(tmp_path: Path) -> None:
    lam, score = 0.1 + 0.2, 1.0 / 3.0
    make_run(tmp_path / "0", score, lam=lam)
    make_run(tmp_path / "1", 0.25, lam=1e-05)
    aggregate([tmp_path], tmp_path)
    (row, _) = rows_of(tmp_path / "runs.csv")
    assert (float(row["lam"]), float(row["val_accuracy"]), row["n_train"]) == (lam, score, "45000")
    (group, _) = rows_of(tmp_path / "summary.csv")
    assert (float(group["lam"]), float(group["val_accuracy_mean"])) == (lam, score)


def test_data_sets_and_budgets_are_never_ranked_together(tmp_path: Path) -> None:
    for i in range(3):
        make_run(tmp_path / str(i), 0.5 + 0.01 * i, seed=i, history=2)
    make_run(tmp_path / "3", 0.9, data="textures", fingerprint="ff", history=2)
    make_run(tmp_path / "4", 0.7, optimizer__schedule__cycles=4)
    text = aggregate([tmp_path], tmp_path)
    names = "CIFAR-10, pictures 00112233aabbccdd, 40", "CIFAR-10, pictures 00112233aabbccdd, 20", "textures"
    long, short, other = (text.index(f"\n{name}") for name in names)
    assert "70.00 (n=1)" in text[long:short]
    assert "In common: cycles 4." in text[long:short]
    assert "51.00 ± 1.00 (n=3)" in text[short:other]
    assert "90.00 (n=1)" in text[other:]
    assert {path.name for path in tmp_path.glob("*.png")} == {"2-curves.png", "3-curves.png"}
    labels = re.findall(r"label\{(.*)\}", (tmp_path / "summary.tex").read_text())
    assert len({*labels}) == len(labels) == 3


def test_pictures_that_are_no_longer_made_are_removed(tmp_path: Path) -> None:
    make_run(tmp_path / "0", history=2)
    for name in ("means.png", "2-curves.png", "mine.png", "curves-old.png"):
        (tmp_path / name).write_bytes(b"\x89PNG Software\0written by kls")
    aggregate([tmp_path], tmp_path)
    assert {path.name for path in tmp_path.glob("*.png")} == {"curves.png", "mine.png", "curves-old.png"}


def test_where_by_metric_sort_and_top(tmp_path: Path) -> None:
    for i, (model, lam, score) in enumerate([("3layer", 0.1, 0.5), ("3layer", 0.2, 0.6), ("9layer", 0.1, 0.4)]):
        make_run(tmp_path / str(i), score, model=model, lam=lam, metrics={"test_accuracy": 1.0 - score})
    out = tmp_path / "out"

    def folders(**options: Any) -> list[str]:
        aggregate([tmp_path], out, Options(curves=0, **options))
        return [row["folder"] for row in rows_of(out / "runs.csv")]

    assert folders(where="lam == 0.1") == ["0", "2"]
    assert folders(where="model == '3layer' and val_accuracy > 55") == ["1"]
    assert folders(sort="val_accuracy") == ["2", "0", "1"]
    assert folders(sort="-val_accuracy") == ["1", "0", "2"]
    assert folders(sort="-model") == ["2", "0", "1"]
    text = aggregate([tmp_path], out, Options(by=["model"], score="test_accuracy", top=1))
    best = text[text.index("Best 1 of 2 groups, by validation accuracy:") :].splitlines()
    assert best[1].split("  ")[0] == "model"
    assert best[1].index("test accuracy %") < best[1].index("validation accuracy %")
    assert best[3].split()[:2] == ["3layer", "45.00"]  # of which the test accuracy is the worse one
    everything = text[text.index("All 2 groups") :].splitlines()
    assert [line.split()[0] for line in everything[3:5]] == ["3layer", "9layer"]
    sorted_text = aggregate([tmp_path], out, Options(top=1, sort="-val_accuracy"))
    rows = sorted_text[sorted_text.index("All 3 groups") :].splitlines()[3:6]
    assert [row.split()[2] for row in rows] == ["60.00", "50.00", "40.00"]


def test_an_edge_that_a_later_stage_searched_again_is_resolved(tmp_path: Path) -> None:
    searched = {"low": 1e-3, "high": 1.0, "scale": "log"}
    stages = [
        {"name": "coarse", "status": "finished", "params": {"lam": searched, "batch_size": searched},
         "edge": ["lam: the best, 1, is the largest", "batch_size: the best, 5, is the smallest"]},
        {"name": "fine", "status": "finished", "params": {"lam": searched}},
        {"name": "confirm", "status": "finished", "params": {"lam": {"values": [0.1]}, "batch_size": {"values": [5]}}},
    ]  # fmt: skip
    make_run(make_sweep(tmp_path, stages) / "coarse" / "0")
    assert re.findall("EDGE.*", aggregate([tmp_path])) == [
        "EDGE: stage coarse: batch_size: the best, 5, is the smallest"
    ]
    stages[1]["status"] = "running"
    make_sweep(tmp_path, stages)
    assert aggregate([tmp_path]).count("EDGE") == 2


def test_broken_runs_and_repeated_runs_are_named(tmp_path: Path) -> None:
    make_run(tmp_path / "a" / "0", 0.5)
    make_run(tmp_path / "b" / "0", 0.5)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "metrics.json").write_text("{")
    text = aggregate([tmp_path])
    assert "1 run left out as repetitions of others." in text
    assert "50.00 (n=1)" in text
    assert f"  skipped: {tmp_path}/1/metrics.json: not valid JSON" in text


def test_lines_are_not_wider_than_120_characters(tmp_path: Path) -> None:
    for i in range(4):
        make_run(
            tmp_path / str(i), 0.5, test=0.5, model=("3layer", "9layer")[i % 2], lam=10.0**-i, batch_size=100 + i,
            model__dropout=0.1 * i, optimizer__momentum=0.1 * i, optimizer__schedule__eta_max=0.1 + i,
            data__augmentation__flip=0.1 * i, model__label_smoothing=0.1 * i,
            status=("finished", "diverged", "failed", "running")[i],
        )  # fmt: skip
    text = aggregate([tmp_path], tmp_path / "out", Options(curves=0))
    assert max(len(line) for line in text.splitlines() if not line.startswith("written")) <= 120
    assert "not shown, too wide: " in text
    assert "50.00 (n=1)" in text


def test_the_command_line(tmp_path: Path) -> None:
    make_run(tmp_path / "a" / "0", 0.5, lam=0.1, model="3layer")
    make_run(tmp_path / "a" / "1", 0.6, lam=0.2, model="9layer")
    make_run(tmp_path / "b" / "0", 0.7, lam=0.3, model="9layer")
    options = "--by", "model, lam", "--metric", "val_loss", "--where", "lam > 0.1", "--sort", "-lam", "--top", "1"
    outcome = call(command.main, ("a", "b", *options, "--curves", "0", "--out", "o"), tmp_path)
    assert (outcome.status, outcome.err) == (0, "")
    assert "Best 1 of 2 groups, by validation accuracy:\n" in outcome.out
    assert "validation loss" in outcome.out
    assert outcome.out.splitlines()[-1] == "written to o: runs.csv, summary.csv, summary.md, summary.tex"
    assert [row["folder"] for row in rows_of(tmp_path / "o" / "runs.csv")] == ["b/0", "a/1"]


def test_several_paths_without_out_write_nothing(tmp_path: Path) -> None:
    before = {make_run(tmp_path / "a" / "0"), make_run(tmp_path / "b" / "0")}
    outcome = call(command.main, ("a", "b"), tmp_path)
    assert (outcome.status, outcome.err) == (0, "")
    assert "2 runs: 2 finished." in outcome.out
    assert outcome.out.splitlines()[-1] == "nothing is written; --out FOLDER writes these tables, and pictures"
    assert {path.parent for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("none", "none: there is no such folder"),
        ("file", "file: is not a folder"),
        ("empty", "empty: no runs there (a run's folder holds metrics.json)"),
        ("runs/0", "runs/0: is the folder of a run; give another --out"),
        ("runs --out file", "file: cannot be written to (File exists)"),
        ("runs --out file/x", "file/x: cannot be written to (Not a directory)"),
        ("runs --by lamb", "lamb: there is no such column; did you mean lam?"),
        ("runs --sort -lamb", "lamb: there is no such column; did you mean lam?"),
        ("runs --metric val_acuracy", "val_acuracy: there is no such column; did you mean val_accuracy?"),
        ("runs --metric status", "status: there is no such column; there are"),
        ("runs --where lam>1", "--where 'lam>1': none of the 2 runs is so"),
        ("runs --where lamb>1", "--where: lamb: there is no such column; did you mean lam?"),
        ("runs --top 0", "top=0, curves=8: top must be 1 to 10,000, curves 0 to 28"),
        ("runs --curves 29", "top=5, curves=29: top must be 1 to 10,000, curves 0 to 28"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: str, message: str) -> None:
    make_run(tmp_path / "runs" / "0", lam=0.1)
    make_run(tmp_path / "runs" / "1", lam=0.2)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert mistake(call(command.main, tuple(arguments.split()), tmp_path)).startswith(message)
    assert not list((tmp_path / "runs").glob("*.*"))


def test_nothing_is_written_if_a_path_is_missing(tmp_path: Path) -> None:
    make_run(tmp_path / "0")
    with pytest.raises(UserError, match="there is no such folder"):
        aggregate([tmp_path, tmp_path / "none"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_module_runs_and_warns_of_nothing(sweep: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-W", "error", "-m", "kls.aggregate", str(sweep)], capture_output=True, text=True, check=True
    )
    assert made.stdout.startswith("Runs of ")


@pytest.mark.parametrize("module", ["kls.aggregate, kls.train", "kls.report.__main__"])
def test_importing_an_entry_point_loads_no_big_library(module: str) -> None:
    check = f"import sys, {module}; sys.exit('pandas' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
