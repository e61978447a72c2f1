"""What is wrong with a sweep is told in one line before the first job, and no folder is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from entry_points import mistake, python
from small_sweeps import ALONE, TINY, refused, stages_argument

from kls.config.hydra_entry import project_root

SWEEPS = ", ".join(sorted(path.stem for path in (project_root() / "sweeps").glob("*.yaml")))
COARSE = "name:coarse,sampler:random,trials:2,params:{lam:{low:0.1,high:0.2}}"
SECOND = "name:second,sampler:tpe,trials:2"
MODELS = "3layer, 3layer_bn, 7layer_bn, 7layer_wide_bn, 7layer_wider_bn, 9layer, 9layer_bn"
OWN_MODEL = f"searched: {project_root()}/conf/model; --config-dir FOLDER: FOLDER/model/4layer.yaml is model=4layer"
OWN_SWEEP = f"searched: {project_root()}/sweeps; --config-dir FOLDER: FOLDER/sweeps/smok.yaml is sweeps=smok"
SAMPLER = "hydra.sweeper.stages[0].sampler"
NO_SUCH_SETTING = "see conf/ for those there are"
MISTAKES: dict[tuple[str, ...], str] = {
    ("lamda=0.1,0.2",): f"lamda: there is no such setting; did you mean lam?; {NO_SUCH_SETTING}",
    ("lam=0.1,0.2", "model.bn.momentm=0.5"): "model.bn.momentm: there is no such setting; did you mean "
    f"model.bn.momentum?; {NO_SUCH_SETTING}",
    ("lam=-1,0.2",): "lam=-1: must be greater than or equal to 0",
    ("lam=0.1,0.2", "batch_size=601"): "batch_size=601 must not be above data.n_train=600",
    ("lam=interval(0,1)",): "lam=interval(0,1): how many trials? give for example trials=30",
    ("model=3layer,4layer",): f"model=4layer: there is no such choice; there are {MODELS}; {OWN_MODEL}",
    ("sweeps=smok",): f"sweeps=smok: there is no such choice; there are {SWEEPS}; {OWN_SWEEP}",
    ("sweeps=smoke", "lam=0.1"): "lam: stage coarse sets it for each trial; leave it out",
    (stages_argument(COARSE, "name:again,budget:['seed=1'],confirm:{from:coarse}"),): "seed: stage again sets it for "
    "each trial; leave it out",
    ("sweeps=init_sensitivity", "model=3layer"): "model: stage grid sets it for each trial; leave it out",
    ("sweeps=smoke", "batch_size=20,50"): "batch_size=20,50: this sweep has stages that say what is searched; "
    "give one value",
    (stages_argument(COARSE, f"{SECOND},params:{{lamda:{{low:0.1,high:0.2}}}}"),): "lamda: there is no such setting; "
    f"did you mean lam?; {NO_SUCH_SETTING}",
    (stages_argument(COARSE, f"{SECOND},params:{{lam:{{low:0.1,high:0.2}}}},budget:['batch_sise=20']"),): "batch_sise: "
    f"there is no such setting; did you mean batch_size?; {NO_SUCH_SETTING}",
    (stages_argument(COARSE, f"{SECOND},params:{{lam:{{low:0.1,high:0.2}}}},budget:['lam=1']"),): "lam: stage second "
    "sets it for each trial; leave it out",
    (stages_argument(COARSE, f"{SECOND},params:{{lam:{{low:-1,high:0.2}}}}"),): "stage second: lam=-1.0: "
    "must be greater than or equal to 0",
    (stages_argument(COARSE, f"{SECOND},params:{{model:{{values:[3layer,4layer]}}}}"),): "model=4layer: there is no "
    f"such choice; there are {MODELS}; {OWN_MODEL}",
    (stages_argument(COARSE.replace("random", "{_target_:os.system}")),): "stage coarse: os.system: is no class that "
    "derives from optuna.samplers.BaseSampler",
    (stages_argument(COARSE.replace("random", "{_target_:nopackage.Sampler}")), "dry_run=true"): "stage coarse: "
    "nopackage.Sampler needs the package nopackage: pip install nopackage",
    (stages_argument(COARSE.replace("random", "{_target_:optuna.samplers.TPESampler,sed:1}")),): f"{SAMPLER}: sed: "
    "there is no such argument; it takes n_startup_trials, n_ei_candidates, multivariate, group, constant_liar",
    (stages_argument(COARSE.replace("trials:2", "trials:1000000000")), "dry_run=true"): "hydra.sweeper.stages[0]."
    "trials=1000000000: must be less than or equal to 100000",
    (stages_argument("name:grid,params:{lam:{low:0.1,high:0.2,steps:1000000000}}"), "dry_run=true"): "hydra.sweeper."
    "stages[0].params.lam.steps=1000000000: must be less than or equal to 10000",
    (stages_argument(COARSE, "name:again,confirm:{from:coarse,seeds:1000000000}"), "dry_run=true"): "hydra.sweeper."
    "stages[1].confirm.seeds=1000000000: must be less than or equal to 1000",
    ("seed=range(1000000000)", "dry_run=true"): "seed=range(1000000000): has more than 10000 values",
    ("seed=shuffle(range(1000000000))",): "seed=shuffle(range(1000000000)): has more than 10000 values",
    ("lam=range(0,1,1e-9)",): "lam=range(0,1,1e-9): has more than 10000 values",
    ("lam=range(0,1,0)",): "lam=range(0,1,0): there is no such range",
    ("seed=range(1000)", "order_seed=range(1000)"): "hydra.sweeper.stages[0]: 1000000 runs are more than 100000",
    ("hydra.sweeper.stages=[50]",): "hydra.sweeper.stages[0]=50: must be a group of settings",
    (stages_argument(COARSE.replace("trials:2", "trials:0")),): "hydra.sweeper.stages[0].trials=0: must be greater "
    "than or equal to 1",
}


@pytest.mark.parametrize("arguments", MISTAKES, ids=lambda arguments: " ".join(arguments)[:60])
def test_mistakes(arguments: tuple[str, ...], cifar_root: Path, tmp_path: Path) -> None:
    assert refused(tmp_path, *TINY, ALONE, *arguments) == MISTAKES[arguments]


def test_a_dry_run_finds_them_too(cifar_root: Path, tmp_path: Path) -> None:
    line = refused(tmp_path, *TINY, "sweeps=smoke", "lam=0.1", "dry_run=true")
    assert line == "lam: stage coarse sets it for each trial; leave it out"


def test_a_process_of_its_own_tells_one_line_too(tmp_path: Path) -> None:
    outcome = python(tmp_path, "-m", "kls.train", "--multirun", "sweeps=smok")
    assert mistake(outcome).startswith("sweeps=smok: there is no such choice; there are best_lam_by_data, ")
    assert outcome.out == ""
    assert list(tmp_path.iterdir()) == []
