"""Sweeps whose stages name samplers of every kind, in one go and killed on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from small_sweeps import ALONE, FOLDER, TINY, assert_same_sweep, record_of, stages_argument, sweep_in, trials_of
from test_sweep_resume import Killed, at_call, kill

from kls.records.run_folder import RunFolder
from kls.sweep import population_batch

LAM = "lam:{low:1e-4,high:10,scale:log}"
STAGES = ("all", "walk", "fixed", "points")
SEARCH = (
    *TINY,
    ALONE,
    FOLDER,
    stages_argument(
        "name:all,sampler:bruteforce,trials:6,params:{model:{values:[3layer,3layer_bn]},order_seed:{low:0,high:2,"
        "integer:true}}",
        "name:walk,sampler:{_target_:small_samplers.Annealing,shrink:0.5},trials:7,batch:2,params:{" + LAM + "}",
        "name:fixed,sampler:{_target_:partialfixed,fixed_params:{model:3layer},base_sampler:{_target_:tpe,"
        "n_startup_trials:1}},trials:4,batch:2,params:{" + LAM + ",model:{values:[3layer,3layer_bn]}}",
        "name:points,sampler:qmc,trials:4,batch:3,params:{" + LAM + "}",
    ),
)
KILLS: list[tuple[Any, str, int]] = [
    (optuna.study.Study, "tell", 4),  # in the first stage
    (RunFolder, "write_history", 6),  # in the second one
    (optuna.study.Study, "ask", 3),
    (optuna.study.Study, "tell", 4),  # the second sampler's own study is told what it was told before
    (population_batch, "_told", 2),
]


@pytest.mark.slow
def test_killed_sweeps_go_on_as_they_would_have(cifar_root: Path, tmp_path: Path) -> None:
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    for folder in (whole, pieces):
        folder.mkdir()
    outcome = sweep_in(whole, *SEARCH)
    assert (outcome.err, outcome.status) == ("", 0)
    assert [stage["sampler"] for stage in record_of(whole / "sweep")["stages"]] == [
        "bruteforce", "small_samplers.Annealing", "partialfixed", "qmc",
    ]  # fmt: skip
    drawn = [trial.params for trial in trials_of(whole / "sweep", "all")]
    assert len({(params["model"], params["order_seed"]) for params in drawn}) == 6
    assert {trial.params["model"] for trial in trials_of(whole / "sweep", "fixed")} == {"3layer"}
    arguments = SEARCH
    for kill_at in KILLS:
        with at_call(*kill_at, kill), pytest.raises(Killed):
            sweep_in(pieces, *arguments)
        arguments = (*SEARCH, "resume=sweep")
    outcome = sweep_in(pieces, *arguments)
    assert (outcome.err, outcome.status) == ("", 0)
    assert_same_sweep(pieces / "sweep", whole / "sweep", STAGES)
