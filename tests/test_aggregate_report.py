"""The whole way from folders to files and printed text, by the function and by the command line."""

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made_up_runs import make_failed_start, make_run, make_sweep

from kls.aggregate import report
from kls.aggregate.__main__ import run
from kls.config.entry_point import reporting
from kls.errors import UserError


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A search for lam in two stages, confirmed with three seeds; one run diverged, one failed."""
    stages: list[dict[str, Any]] = [
        {
            "name": "coarse", "trials": 3, "sampler": "random", "status": "finished", "confirm": False,
            "params": {"lam": {"low": 1e-4, "high": 0.1, "scale": "log", "values": None, "source": "given"}},
            "best": {"trial": 1, "params": {"lam": 0.01}, "val_accuracy": 0.5},
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
    text = report(sweep)
    # sd of 51, 53, 55 is 2; the half of the interval is 4.302652729749462 * 2 / sqrt(3) = 4.968
    assert text == (
        f"Runs of {sweep}\n{'=' * len(f'Runs of {sweep}')}\n"
        """
Sweep s, running
overrides: data=cifar10 lam=1
stage    status    sampler      runs    best val accuracy %
-------  --------  ---------  ------  ---------------------
coarse   finished  random          3            50.00 (n=1)
confirm  running   grid            4     53.00 ± 2.00 (n=3)
  coarse searched lam 0.0001 to 0.1 (log), given
EDGE: stage coarse: lam: the best, 0.01, is the largest value tried

CIFAR-10, fingerprint 00112233aabbccdd: 45,000 training, 5,000 validation, 10,000 test pictures
7 runs: 5 finished, 1 diverged, 1 failed.
Mean ± standard deviation over n seeds; diverged runs count at chance level.

Best 4 of 4 groups, by val accuracy, later stages first
stage    lam        val accuracy %    95 % interval     test accuracy %    diverged    failed
-------  -----  ------------------  ---------------  ------------------  ----------  --------
confirm  0.01   53.00 ± 2.00 (n=3)   48.03 to 57.97  52.00 ± 2.00 (n=3)                     1
coarse   0.01          50.00 (n=1)                -                   -
coarse   0.001         40.00 (n=1)                -                   -
coarse   0.1           10.00 (n=1)                -                   -           1
picture search.png: Search on CIFAR-10, 6 runs
picture curves.png: Learning curves on CIFAR-10, one run of each of the 3 best of 4 groups
picture seeds.png: Spread over seeds on CIFAR-10, n = 3 a group

Runs that diverged or have no result
  coarse/2: diverged: lost at step 3
  confirm/3: failed: no room
"""
        f"\nwritten to {sweep}: runs.csv, summary.csv, summary.md, summary.tex, search.png, curves.png, seeds.png\n"
        f"no curve: {sweep}/coarse/2/history.csv: cannot be read as a history "
        f"(FileNotFoundError(2, 'No such file or directory'))"
    )


def test_the_files_of_a_sweep(sweep: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    report(sweep, out, curves=2)
    pictures = ["curves.png", "search.png", "seeds.png"]
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
    assert float(groups[0]["val_accuracy_low95"]) == pytest.approx(0.53 - 4.302652729749462 * 0.02 / 3**0.5, rel=1e-12)
    assert groups[1]["val_accuracy_sd"] == ""
    markdown = (out / "summary.md").read_text(encoding="utf-8")
    assert "\nEDGE: stage coarse: lam: the best, 0.01, is the largest value tried\n" in markdown
    assert "| confirm | 0.01  | 53.00 ± 2.00 (n=3) |" in markdown
    assert all(f"]({name})" in markdown for name in pictures)
    latex = (out / "summary.tex").read_text(encoding="utf-8")
    assert "confirm & 0.01 & 53.00 $\\pm$ 2.00 (n=3) & 48.03 to 57.97 &" in latex
    assert "\\caption{val accuracy \\%: mean $\\pm$ standard deviation (n runs) on CIFAR-10, fingerprint 00" in latex


def test_full_precision_in_csv(tmp_path: Path) -> None:
    lam, score = 0.1 + 0.2, 1.0 / 3.0
    make_run(tmp_path / "0", score, lam=lam)
    make_run(tmp_path / "1", 0.25, lam=1e-05)
    report(tmp_path)
    (row, _) = rows_of(tmp_path / "runs.csv")
    assert (float(row["lam"]), float(row["val_accuracy"]), row["n_train"]) == (lam, score, "45000")
    (group, _) = rows_of(tmp_path / "summary.csv")
    assert (float(group["lam"]), float(group["val_accuracy_mean"])) == (lam, score)


def test_each_data_set_has_its_section_and_pictures(tmp_path: Path) -> None:
    for i in range(3):
        make_run(tmp_path / str(i), 0.5 + 0.01 * i, seed=i, history=2)
    make_run(tmp_path / "3", 0.9, data="textures", fingerprint="ff", history=2)
    text = report(tmp_path)
    assert "4 runs: 4 finished, in all." in text
    first, second = text.index("\nCIFAR-10, fingerprint 001"), text.index("\ntextures, fingerprint ff:")
    assert first < second
    assert "51.00 ± 1.00 (n=3)" in text[first:second]
    assert "90.00 (n=1)" in text[second:]
    assert {path.name for path in tmp_path.glob("*.png")} == {"curves.png", "curves-2.png", "seeds.png"}
    assert (tmp_path / "summary.tex").read_text().count("\\begin{table}") == 2


def test_pictures_that_are_no_longer_made_are_removed(tmp_path: Path) -> None:
    make_run(tmp_path / "0", history=2)
    for name in ("seeds.png", "curves-2.png", "mine.png", "curves-old.png"):
        (tmp_path / name).write_bytes(b"\x89PNG Software\0written by kls")
    report(tmp_path)
    assert {path.name for path in tmp_path.glob("*.png")} == {"curves.png", "mine.png", "curves-old.png"}


def test_where_by_metric_sort_and_top(tmp_path: Path) -> None:
    for i, (model, lam, score) in enumerate([("3layer", 0.1, 0.5), ("3layer", 0.2, 0.6), ("9layer", 0.1, 0.4)]):
        make_run(tmp_path / str(i), score, model=model, lam=lam, metrics={"test_accuracy": 1.0 - score})
    out = tmp_path / "out"

    def folders(**options: Any) -> list[str]:
        report(tmp_path, out, **options)
        return [row["folder"] for row in rows_of(out / "runs.csv")]

    assert folders(where="lam == 0.1") == ["0", "2"]
    assert folders(where="model == '3layer' and lam < 0.15") == ["0"]
    assert folders(sort="val_accuracy") == ["2", "0", "1"]
    assert folders(sort="-val_accuracy") == ["1", "0", "2"]
    assert folders(sort="-model") == ["2", "0", "1"]
    text = report(tmp_path, out, by=["model"], metric="test_accuracy", top=1)
    assert "over n runs; averaged over seeds and lam." in text
    best = text[text.index("Best 1 of 2 groups, by test accuracy") :].splitlines()
    assert best[1:4] == [
        "model      test accuracy %    val accuracy %",
        "-------  -----------------  ----------------",
        "9layer         60.00 (n=1)       40.00 (n=1)",
    ]
    everything = text[text.index("All 2 groups") :].splitlines()
    assert [line.split()[0] for line in everything[3:5]] == ["3layer", "9layer"]
    sorted_text = report(tmp_path, out, top=1, sort="-val_accuracy")
    rows = sorted_text[sorted_text.index("All 3 groups") :].splitlines()[3:6]
    assert [row.split()[2] for row in rows] == ["60.00", "50.00", "40.00"]


def test_groups_stand_in_the_order_of_stages_and_settings(sweep: Path) -> None:
    text = report(sweep, top=1)
    rows = text[text.index("All 4 groups") :].splitlines()[3:7]
    assert [tuple(row.split()[:2]) for row in rows] == [
        ("coarse", "0.001"), ("coarse", "0.01"), ("coarse", "0.1"), ("confirm", "0.01"),
    ]  # fmt: skip


def test_repeated_runs_are_told(tmp_path: Path) -> None:
    make_run(tmp_path / "a" / "0", 0.5)
    make_run(tmp_path / "b" / "0", 0.5)
    text = report(tmp_path)
    assert "runs that repeat settings and seeds of another, left out of the means: 1." in text
    assert "50.00 (n=1)" in text


def test_a_broken_run_is_told_at_the_end(tmp_path: Path) -> None:
    make_run(tmp_path / "0", history=1)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "metrics.json").write_text("{")
    assert report(tmp_path).splitlines()[-1].startswith(f"skipped: {tmp_path}/1/metrics.json: not valid JSON")


def test_tables_are_not_wider_than_120_characters(tmp_path: Path) -> None:
    for i in range(4):
        make_run(
            tmp_path / str(i), 0.5, test=0.5, model=("3layer", "9layer")[i % 2], lam=10.0**-i, batch_size=100 + i,
            model__dropout=0.1 * i, optimizer__momentum=0.1 * i, optimizer__schedule__eta_max=0.1 + i,
            optimizer__schedule__n_s=100 * (i + 1), data__augmentation__flip=0.1 * i, model__label_smoothing=0.1 * i,
            status=("finished", "diverged", "failed", "running")[i],
        )  # fmt: skip
    text = report(tmp_path, curves=0)
    assert max(len(line) for line in text.splitlines() if not line.startswith("written")) <= 120
    assert "not shown, too wide: " in text
    assert "50.00 (n=1)" in text


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of the command line."""
    try:
        reporting(lambda: run([str(argument) for argument in arguments]))
        status: Any = 0
    except SystemExit as stop:
        status = stop.code
        if isinstance(status, str):  # what Python does with it
            print(status, file=sys.stderr)
            status = 1
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "a" / "0", 0.5, lam=0.1, model="3layer")
    make_run(tmp_path / "a" / "1", 0.6, lam=0.2, model="9layer")
    make_run(tmp_path / "b" / "0", 0.7, lam=0.3, model="9layer")
    (tmp_path / "b" / "1").mkdir()
    (tmp_path / "b" / "1" / "config.yaml").touch()
    options = ["--by", "model, lam", "--metric", "val_loss", "--where", "lam > 0.1", "--sort", "-lam", "--top", 1]
    status, out, err = command(capsys, tmp_path / "a", tmp_path / "b", *options, "--curves", 0, "--out", tmp_path / "o")
    assert status == 0
    skipped = f"skipped: {tmp_path}/b/1: has no metrics.json; it has only just begun, or was stopped there\n"
    assert err == skipped
    assert "Best 1 of 2 groups, by val loss\n" in out
    assert out.splitlines()[-1] == f"written to {tmp_path}/o: runs.csv, summary.csv, summary.md, summary.tex"
    folders = [row["folder"] for row in rows_of(tmp_path / "o" / "runs.csv")]
    assert folders == [f"{tmp_path}/b/0", f"{tmp_path}/a/1"]


def test_several_paths_without_out_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {make_run(tmp_path / "a" / "0"), make_run(tmp_path / "b" / "0")}
    status, out, err = command(capsys, tmp_path / "a", tmp_path / "b")
    assert (status, err) == (0, "")
    assert "2 runs: 2 finished." in out
    assert out.splitlines()[-1] == "nothing is written; --out FOLDER writes these tables, and pictures"
    assert {path.parent for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "none: there is no such folder"),
        (["file"], "file: is not a folder"),
        (["empty"], "empty: no runs there (a run's folder holds metrics.json)"),
        (["runs/0"], "runs/0: is the folder of a run, which tables do not go into; give --out FOLDER"),
        (["runs", "--out", "file"], "file: cannot be written to (File exists)"),
        (["runs", "--out", "file/x"], "file/x: cannot be written to (Not a directory)"),
        (["runs", "--by", "lamb"], "lamb: there is no such column; did you mean lam?"),
        (["runs", "--sort", "-lamb"], "lamb: there is no such column; did you mean lam?"),
        (
            ["runs", "--metric", "val_acuracy"],
            "val_acuracy: there is no such column; did you mean val_accuracy?",
        ),
        (["runs", "--metric", "status"], "status: there is no such column; there are"),
        (["runs", "--where", "lam > 1"], "--where 'lam > 1': none of the 2 runs is so"),
        (["runs", "--where", "lamb > 1"], "--where: lamb: there is no such column; did you mean lam?"),
        (["runs", "--top", "0"], "top=0, curves=5: top must be 1 to 10,000, curves 0 to 28"),
        (["runs", "--curves", "29"], "top=5, curves=29: top must be 1 to 10,000, curves 0 to 28"),
    ],
)
def test_mistakes_are_told_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    make_run(tmp_path / "runs" / "0", lam=0.1)
    make_run(tmp_path / "runs" / "1", lam=0.2)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    status, out, err = command(capsys, *arguments)
    assert (status, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert not list(Path("runs").glob("*.*"))


def test_nothing_is_written_where_a_path_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        report(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_module_runs_and_warns_of_nothing(sweep: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-W", "error", "-m", "kls.aggregate", str(sweep)], capture_output=True, text=True, check=True
    )
    assert made.stdout.startswith("Runs of ")


def test_importing_the_package_and_the_trainer_loads_no_pandas() -> None:
    check = "import sys, kls.aggregate, kls.train; sys.exit('pandas' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
