"""What kls.study says of studies and of what it would run, and what it refuses."""

from __future__ import annotations

from pathlib import Path

from entry_points import call, mistake

from kls.study import __main__ as entry

LISTED = """\
course_e: batch norm at a large lambda, and a longer final training

How does the loss of 3 and 9 layers fall with batch norm and without, which lambda between 1e-5 and 1e-1 is
best for 3 layers with batch norm, what does it give after four cycles, and which initial standard deviations
let 9 layers learn?

step         holds              what
gradients    2 gradient checks  Sums of numerical and analytic gradients and of their relative errors, 2 and 3
                                layers with batch norm.
networks     12 runs            3 and 9 layers, with batch norm and without, at lambda 0.05 for two cycles;
                                published as loss curves.
search       45 runs            20 lambdas for two cycles, 20 in a narrower interval for three, the best again
                                for four.
final        5 runs             The 3-layer network with batch norm at the lambda that the study found,
                                0.00723267, for four cycles.
sensitivity  18 runs            9 layers from normal initial weights of three standard deviations; published as
                                loss curves.

80 runs

published
coarse search, best (1.1e-5)      validation accuracy  52.10 %
coarse search, second (3.9e-5)    validation accuracy  50.70 %
coarse search, third (8.0e-5)     validation accuracy  50.30 %
fine search, best (0.00723)       validation accuracy  53.90 %
fine search, second (0.00597)     validation accuracy  53.70 %
fine search, third (0.00466)      validation accuracy  53.66 %
four cycles at lambda 0.00723267  test accuracy        53.44 %
"""


def test_the_list_of_one_study(tmp_path: Path) -> None:
    outcome = call(entry.main, ("--list", "course_e"), tmp_path)
    assert (outcome.status, outcome.err, outcome.out) == (0, "", LISTED)
    assert list(tmp_path.iterdir()) == []


def test_the_list_of_all_studies(tmp_path: Path) -> None:
    out = call(entry.main, ("--list",), tmp_path).out
    keys = ["straathof2019", "perrot2024", "gelisgen2019", "jarvers2023", "course_e", "best_mlp", "questions"]
    starts = [f"\n{out}".index(f"\n{key}: ") for key in keys]
    assert starts == sorted(starts)
    assert "\nquestions: Six questions that none of the five studies could answer\n" in out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "9 layers, batch norm, sigma 0.001 test accuracy 49.17 ± 1.37 % (n = 5)" in lines
    assert "9 layers, batch norm, final loss training loss 1.108" in lines
    assert lines[-1] == "1,000 runs"
    assert "25 runs   " in out


def test_a_dry_run(tmp_path: Path) -> None:
    lines = call(entry.main, ("straathof2019", "--dry-run", "--out", "a b"), tmp_path).out.splitlines()
    assert lines[0] == "gradients_straathof2019: 2 gradient checks"
    assert lines[3:5] == [
        "networks: 25 runs",
        "  python -m kls.train --multirun sweeps=networks plots=false data=cifar10 "
        """'hydra.sweep.dir='"'"'a b/steps/networks'"'"''""",
    ]
    assert lines[-1] == "5 steps, 105 runs; nothing was run"
    assert list(tmp_path.iterdir()) == []


def test_the_embedded_data(tmp_path: Path) -> None:
    out = call(entry.main, ("straathof2019", "--dry-run", "--data", "synthetic"), tmp_path).out
    assert "data=cifar10" not in out
    assert out.count(" data=synthetic ") == 6  # a command a step, and two gradient checks
    assert "hydra.sweep.dir=outputs/studies/steps/networks" in out
    small = call(entry.main, ("straathof2019", "--dry-run", "--smoke"), tmp_path).out
    assert "hydra.sweep.dir=outputs/studies_smoke/steps/networks" in small
    assert small.count(" data=synthetic data.n_train=3000 ") == 6


def test_settings_for_all_steps(tmp_path: Path) -> None:
    """A step's own settings come after them, and win."""
    arguments = ("straathof2019", "data.root=/a b", "--dry-run", "threads=2")
    out = call(entry.main, arguments, tmp_path).out
    assert out.count(" data=cifar10 'data.root=/a b' threads=2 ") == 6
    assert " sweeps=seeds plots=false data=cifar10 'data.root=/a b' threads=2 lam=0.0072 hydra.sweep.dir=" in out
    for setting in ("threads", "hydra.run.dir=x", "resume=x", "model=../x", "~model", "lam=${oc.env:HOME}"):
        line = mistake(call(entry.main, ("straathof2019", "--dry-run", setting), tmp_path))
        assert line == f"{setting}: give a setting as key=value; of hydra there is hydra.launcher alone"


def test_an_unknown_study(tmp_path: Path) -> None:
    assert mistake(call(entry.main, ("perrot",), tmp_path)).startswith(
        "perrot: there is no such study; there are straathof2019, perrot2024, gelisgen2019, jarvers2023, course_e, "
    )


def test_no_study(tmp_path: Path) -> None:
    outcome = call(entry.main, (), tmp_path)
    assert outcome.status == 2
    assert outcome.err.splitlines()[-1].endswith("error: give the NAME of a study, all, or --list")
