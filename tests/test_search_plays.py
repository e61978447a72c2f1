"""Searches played on a table of runs: its truth and noise, what each way costs, and where it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from entry_points import call
from made_up_runs import make_run, make_sweep

from kls.config.study_file import Study
from kls.errors import UserError
from kls.records import names
from kls.records.checked import read_csv
from kls.study import plays
from kls.study.plan import find, plan, search_of
from kls.study.table_of_runs import Table, read_tables
from kls.study.table_truth import Truth, VirtualRuns
from kls.sweep.played_search import check_playable, play
from kls.sweep.stages import Search

VALUES, TOP = np.geomspace(1e-5, 1e-1, 17), np.array([6e-3, 5e-3, 4.5e-3, 4e-3])


def truth(value: Any) -> np.ndarray:
    """Percent after 1 to 4 cycles, a row a value: flat at the left, steep at the right."""
    away = np.log10(np.atleast_1d(value))[:, None] - np.log10(TOP)
    return 53.0 + 0.5 * np.arange(4) - np.where(away > 0.0, 3.0, 0.8) * away**2


def made_up(noise: float = 0.0, n: int = 10, seed: int = 0) -> Table:
    """Seeds with main effects of a third of ``noise`` points, and interactions of ``noise``, the same at all ends."""
    rng = np.random.default_rng(seed)
    main, interaction = rng.normal(0.0, noise / 3, (n, 1)), rng.normal(0.0, noise, (17, n, 1))
    return Table("net", "lam", VALUES, truth(VALUES)[:, None] + main + interaction, 10.0)


WAYS = find("questions")[0].step("plays").plays


def way(name: str) -> Search:
    assert WAYS is not None
    return search_of(WAYS.ways[name], None)


def noiseless(value: float, seed: int) -> np.ndarray:
    return truth(value)[0]


@pytest.mark.parametrize("seed", range(3))
def test_the_truth_of_a_made_up_table_is_recovered(seed: int) -> None:
    found = Truth(made_up(0.4, seed=seed))
    for cycles in range(1, 5):
        error = found.curves[cycles - 1] - truth(found.values)[:, cycles - 1]
        error -= error.mean()  # what all seeds have in common moves no place
        assert np.sqrt((error**2).mean()) < 0.4 / np.sqrt(10)  # nearer than the means themselves
        assert found.best(cycles) == pytest.approx(TOP[cycles - 1], rel=0.6)
        assert truth(TOP[cycles - 1])[0, cycles - 1] - truth(found.best(cycles))[0, cycles - 1] < 0.1


def test_regret_is_0_at_the_top_and_that_of_the_end_beyond_the_table() -> None:
    found = Truth(made_up())
    assert found.regret(found.best(4), 4) == pytest.approx(0.0, abs=1e-6)
    assert found.best(4) == pytest.approx(4e-3, rel=0.1)
    # 3 (log10 0.04 - log10 0.004)^2 = 3
    assert found.regret(4e-2, 4) == pytest.approx(3.0, abs=0.05)
    assert found.regret(7.0, 4) == found.regret(0.1, 4) == pytest.approx(3.0 * np.log10(25.0) ** 2, abs=0.1)


def test_draws_have_the_noise_of_the_table() -> None:
    table = made_up(0.4)
    found = Truth(table)
    scores = table.scores[:, :, 0]
    apart = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0) + scores.mean()
    assert found.interaction_variance[0] == pytest.approx((apart**2).sum() / (16 * 9))
    assert (found.main**2).mean(axis=0) == pytest.approx(found.main_variance)
    assert found.main_variance[0] == pytest.approx(scores.mean(axis=0).var(ddof=1) - found.interaction_variance[0] / 17)
    rng, drawn = np.random.default_rng(0), list[np.ndarray]()
    places = 10.0 ** rng.uniform(-5.0, -1.0, 4000)
    for place in places:  # another seed each: main effect and interaction
        drawn.append(VirtualRuns(found, rng).scores(place, 0) - found.at(place))
    spread = np.array(drawn)
    assert spread.var(axis=0) == pytest.approx(found.interaction_variance + found.main_variance, rel=0.08)
    assert spread.mean(axis=0) == pytest.approx(np.zeros(4), abs=0.03)


def test_a_run_has_one_draw_and_a_seed_one_effect() -> None:
    found = Truth(made_up(0.4))
    runs = VirtualRuns(found, np.random.default_rng(1))
    first = runs.scores(1e-3, 0)
    noise = first - found.at(1e-3)
    assert noise == pytest.approx(np.full(4, noise[0]))  # as of the table: the same after each cycle
    assert runs.scores(1e-3, 1) is not first
    assert runs.scores(1e-3, 0) is first
    flat = Table("net", "lam", VALUES, np.full((17, 1, 4), 50.0) + np.arange(10.0)[:, None], 10.0)
    alone = VirtualRuns(Truth(flat), np.random.default_rng(1))
    shifts = {round(float(alone.scores(value, 0)[0]), 9) for value in VALUES}
    assert len(shifts) == 1


@pytest.mark.parametrize(
    ("name", "epochs"),
    [
        ("straathof2019", 600), ("perrot2024", 1000), ("gelisgen2019", 400), ("jarvers2023", 200), ("course_e", 1000),
        ("lambda_search", 140), ("lambda_search_before", 600), ("tpe", 140), ("halving", 160), ("halving_grid", 160),
        ("repeated_grid", 140),
    ],
)  # fmt: skip
def test_what_each_way_costs_and_that_without_noise_it_ends_near_the_top(name: str, epochs: int) -> None:
    found = play(way(name), "lam", noiseless, 0)
    assert 10 * found.cycles == epochs
    regret = truth(TOP[3])[0, 3] - truth(found.value)[0, 3]
    assert 0.0 <= regret < (0.7 if "grid" in name or name in ("halving", "tpe") else 0.15)


def test_without_noise_the_curve_names_the_top_of_its_own_budget() -> None:
    tops = np.log10([6e-3, 1e-2])
    found = play(way("lambda_search"), "lam", lambda value, seed: 50.0 - 2.0 * (np.log10(value) - tops) ** 2, 0)
    assert found.value == pytest.approx(6e-3, rel=0.02)
    assert found.curve is not None
    cycles, low, high = found.curve
    assert (cycles, low <= 6e-3 <= high) == (1, True)


def test_halving_drops_by_the_scores_at_the_ends_of_cycles() -> None:
    # of 7 the best 3 go on, of these the best 1, although another one would have been better in the end
    at_ends = {1e-5: 1, 1e-4: 2, 1e-3: 7, 5e-3: 6, 1e-2: 5, 3e-2: 3, 1e-1: 4}
    asked = list[float]()

    def draw(value: float, seed: int) -> np.ndarray:
        asked.append(value)
        first = at_ends[value]
        return np.array([first, 9.0 if value == 5e-3 else first, 0.0, 50.0 if value == 1e-2 else 0.0])

    params = {"lam": {"values": list(at_ends)}}
    stage = {"name": "s", "params": params, "budget": ["optimizer.schedule.cycles=4", "pruning.rule=halving"]}
    found = play(search_of([stage], None), "lam", draw, 0)
    assert (found.value, found.cycles, found.curve) == (5e-3, 4 + 2 + 2 + 4, None)
    assert asked == list(at_ends)


def test_repeats_are_seeds_and_the_mean_decides() -> None:
    scores = {(1e-3, 0): 9.0, (1e-3, 1): 1.0, (1e-2, 0): 6.0, (1e-2, 1): 5.0}
    stage = {"name": "s", "repeats": 2, "params": {"lam": {"values": [1e-3, 1e-2]}}}
    found = play(search_of([stage], None), "lam", lambda value, seed: np.full(4, scores[value, seed]), 0)
    assert (found.value, found.cycles) == (1e-2, 2 * 4)


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        ({"params": {"batch_size": {"values": [1, 2]}}}, "stage s: searches ['batch_size']; the table has lam alone"),
        ({"budget": ["optimizer.schedule.cycles=5"]}, "stage s: trains for more cycles than the 4 of the table"),
        ({"budget": ["model=9layer"]}, "stage s: budget=model=9layer: played are optimizer.schedule.cycles and "),
    ],
)
def test_what_cannot_be_played(stage: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as mistake:
        check_playable(search_of([{"name": "s", "params": {"lam": {"values": [1e-3, 1e-2]}}, **stage}], None), "lam", 4)
    assert str(mistake.value).startswith(says)


def test_samplers_of_other_packages_are_not_for_a_study_to_name() -> None:
    stage = {"name": "s", "trials": 2, "sampler": {"_target_": "os.Thing"}, "params": {"lam": {"low": 1, "high": 2}}}
    with pytest.raises(UserError, match=r"^ways: .*: name samplers of other packages in sweeps/ alone$"):
        search_of([stage], None)


def test_plays_depend_on_their_number_and_way_alone() -> None:
    found, plan = Truth(made_up(0.4)), way("tpe")
    rows = plays.played(found, "net", "tpe", plan, "lam", range(3))
    assert [row["play"] for row in rows] == [0, 1, 2]
    assert plays.played(found, "net", "tpe", plan, "lam", [2]) == rows[2:]
    assert len({row["value"] for row in rows}) == 3
    other = plays.played(found, "net", "ept", plan, "lam", [2])
    assert other[0]["value"] != rows[2]["value"]
    whole = plays.play_all({"net": found}, {"tpe": plan}, "lam", 3, jobs=1)
    assert whole == rows
    assert list(rows[0]) == [*names.PLAY_COLUMNS]
    assert (rows[0]["way"], rows[0]["seeds"], rows[0]["epochs"], rows[0]["low"]) == ("tpe", 10, "140", "nan")


def make_table(folder: Path, lams: int = 5, seeds: int = 2, status: str = names.FINISHED) -> Path:
    """Runs of two cycles of 4500 steps, evaluated each 450."""
    make_sweep(folder, [{"name": "grid"}], status=status)
    for i, lam in enumerate(np.geomspace(1e-4, 1e-2, lams).tolist()):
        for seed in range(seeds):
            score = 0.5 + 0.01 * i + 0.001 * seed
            make_run(folder / "grid" / f"{i * seeds + seed}", score, lam=lam, seed=seed, history=20)
    return folder


def test_a_table_is_read_at_the_ends_of_cycles(tmp_path: Path) -> None:
    (table,) = read_tables(make_table(tmp_path), "lam")
    assert (table.network, table.epochs, table.left_out) == ("3layer_bn", 10.0, 0)
    assert table.values == pytest.approx(np.geomspace(1e-4, 1e-2, 5))
    # epoch 10 of 20: half the way from 10 % to the score
    assert table.scores[2, 1] == pytest.approx([10.0 + 0.5 * 42.1, 52.1])


def test_tables_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r": its sweep is running; a table is played on when all of it is there$"):
        read_tables(make_table(tmp_path / "a", status=names.RUNNING), "lam")
    with pytest.raises(UserError, match=r"^3layer_bn: 4 values of lam with 2 whole seeds are no table to play on; "):
        read_tables(make_table(tmp_path / "b", lams=4), "lam")
    make_run(make_table(tmp_path / "c") / "grid" / "10", 0.5, batch_size=50, history=20)
    with pytest.raises(UserError, match=r": its runs differ in batch_size too; a table has lam, seed and model alone$"):
        read_tables(tmp_path / "c", "lam")
    make_run(make_table(tmp_path / "d") / "grid" / "10", 0.5, lam=1e-4, seed=7, history=20)
    (table,) = read_tables(tmp_path / "d", "lam")
    assert (table.scores.shape, table.left_out) == ((5, 2, 2), 1)


def test_the_command_writes_a_row_for_each_play(tmp_path: Path) -> None:
    make_table(tmp_path / "table")
    stages = '[{"name":"s","params":{"lam":{"values":[1e-3,1e-2]}}}]'
    outcome = call(plays.main, (f"mine={stages}", "--table=table", "--out=out", "--plays=3"), tmp_path)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        "3layer_bn: 5 values of lam, 2 seeds, 2 cycles", "3layer_bn, mine: 3 plays", "1 x 3 plays in out/plays.csv",
    ]  # fmt: skip
    rows = read_csv(tmp_path / "out" / names.PLAYS, names.PLAY_COLUMNS)
    assert [(row["way"], row["play"], row["epochs"], row["value"]) for row in rows] == [
        ("mine", str(number), "40", "0.01") for number in range(3)
    ]
    assert {float(row["regret"]) for row in rows} == {0.0}
    for arguments, says in {
        ("x=[{", "--plays=3"): "error: x: its stages are not valid JSON",
        ("perrot", "--plays=3"): "error: sweep=perrot: there is no such sweep",
        ("course_e", "--plays=0"): "error: --plays=0: give a number from 1 to 1,000,000",
        ("course_e", "--plays=1"): "error: course_e: stage fine: trains for more cycles than the 2 of the table",
    }.items():
        assert call(plays.main, (*arguments, "--table=table", "--out=no"), tmp_path).err.startswith(says)
    assert not (tmp_path / "no").exists()


def study(table: str = "table", **changes: Any) -> Study:
    steps: list[dict[str, Any]] = [
        {"name": "table", "what": "w", "folder": "t", "sweep": "search_table"},
        {"name": "plays", "what": "w", "folder": "p", "plays": {
            "n": 100, "table": table, "setting": "lam", "ways": {"e": "course_e", "mine": [
                {"name": "s", "params": {"lam": {"values": [0.1, 0.2]}}}]}}},
    ]  # fmt: skip
    finding = {"kind": "plays", "step": "plays", "published": ["e"]}
    content = {"key": "k", "title": "t", "asked": "a", "steps": steps, "findings": [finding | changes]}
    return Study.model_validate(content)


def test_the_task_of_a_step_that_plays() -> None:
    task = plan([study()], Path("out"), ["data=cifar10"], smoke=False)["p"]
    assert task.commands == [[
        "kls.study.plays", "--table=out/steps/t", "--out=out/steps/p", "--setting=lam", "--plays=100", "e=course_e",
        'mine=[{"name":"s","params":{"lam":{"values":[0.1,0.2]}}}]',
    ]]  # fmt: skip
    assert (str(task), task.size, task.runs) == ("2 played ways", 2, 0)
    assert task.definition["table"] == "t"
    assert [stage["name"] for stage in task.definition["ways"]["e"]] == ["coarse", "fine", "confirm"]
    assert "--plays=5" in plan([study()], Path("out"), [], smoke=True)["p"].commands[0]


def test_mistakes_in_a_step_that_plays() -> None:
    with pytest.raises(ValueError, match="step plays: table=plays is no earlier step with a sweep"):
        study(table="plays")
    with pytest.raises(ValueError, match="step plays: plays no way f"):
        study(published=["f"])
    with pytest.raises(ValueError, match="step table: plays no way e"):
        study(step="table")
    optimum = {"kind": "optimum", "step": "plays", "setting": "lam"}
    with pytest.raises(ValueError, match="step plays: a finding of kind optimum takes runs, and has plays"):
        Study.model_validate(study().model_dump() | {"findings": [optimum]})
