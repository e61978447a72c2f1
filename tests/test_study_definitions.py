"""The studies of conf/study: what they run composes, and every published figure is the one that was published."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from entry_points import composed
from hydra.core.override_parser.overrides_parser import OverridesParser
from small_sweeps import sweep_in

from kls.config.project import project_root
from kls.config.schedules import CyclicSettings
from kls.config.settings import Settings
from kls.config.study_file import Figure, Step, Study, read_study
from kls.config.validation import validate, validate_group
from kls.errors import UserError
from kls.study.plan import Task, find, known, plan, read_sweep_file, small_stage
from kls.sweep.stages import Search, Stage

ROOT = project_root()
FIVE = ["straathof2019", "perrot2024", "gelisgen2019", "jarvers2023", "course_e"]
NAMES = [*FIVE, "questions"]
STUDIES = {name: find(name)[0] for name in NAMES}
THREE, NINE = [50, 50], [50, 30, 20, 20, 10, 10, 10, 10]

# score, published, sd, runs, in the units of the definitions: accuracies in percent, losses as they are
TEST, VAL, TRAIN, LOSS = "test_accuracy", "val_accuracy", "train_accuracy", "train_loss"
PUBLISHED: dict[str, list[tuple[str, float, float | None, int]]] = {
    "perrot2024": [
        *[(TEST, value, None, 1) for value in (53.05, 51.45, 42.27, 51.03)],
        *[(TEST, value, None, 1) for value in (51.45, 51.03)],  # again, run as the code does
        *[(VAL, value, None, 1) for value in (54.88, 54.68, 54.64)],
        *[(TEST, value, None, 1) for value in (52.58, 52.77) * 2],
    ],
    "gelisgen2019": [
        *[(LOSS, value, None, 1) for value in (1.002, 1.192, 1.108, 1.512)],
        (VAL, 54.01, None, 1),
        *[(TEST, value, None, 1) for value in (52.89, 52.84, 52.98, 19.74, 10.0, 10.0)],
    ],
    "straathof2019": [
        *[(TEST, value, None, 1) for value in (52.87, 53.08, 40.21, 47.61)],
        *[(TRAIN, 61.67, 0.15, 5), (VAL, 54.11, 0.49, 5), (TEST, 52.59, 0.31, 5)],
        *[(VAL, value, None, 1) for value in (54.74, 54.5, 54.06, 51.1, 49.26)],
        *[(VAL, value, None, 1) for value in (54.28, 53.98, 53.88)],
        *[(TRAIN, 60.82, 0.08, 5), (VAL, 53.87, 0.31, 5), (TEST, 53.06, 0.27, 5)],
        *[(TEST, 51.14, 0.34, 5), (TEST, 49.17, 1.37, 5), (TEST, 49.17, 1.28, 5)],
        *[(TEST, 10.0, 0.0, 5)] * 3,
    ],
    "jarvers2023": [
        *[(TEST, value, None, 1) for value in (52.80, 53.89, 41.74, 52.20)],
        *[(VAL, value, None, 1) for value in (51.00, 51.44, 52.14, 51.38, 24.30)],
        *[(VAL, value, None, 1) for value in (51.34, 53.18, 53.62, 53.44, 52.38)],
        *[(VAL, value, None, 1) for value in (9.98, 10.05, 10.14, 53.83, 53.48, 54.14)],
        *[(TEST, value, None, 1) for value in (53.71, 52.27, 51.77, 52.19)],
        *[(TEST, value, None, 1) for value in (49.56, 38.52, 28.97)],
        *[(TEST, value, None, 1) for value in (52.76, 57.15, 58.20)],
    ],
    "course_e": [
        *[(VAL, value, None, 1) for value in (52.1, 50.7, 50.3)],
        *[(VAL, value, None, 1) for value in (53.9, 53.7, 53.66)],
        (TEST, 53.44, None, 1),
    ],
    "questions": [],
}


def planned_tasks(studies: list[Study], smoke: bool = False) -> dict[str, Task]:
    return plan(studies, Path("out"), [] if smoke else ["data=cifar10"], smoke)


def tasks_of(*names: str, smoke: bool = False) -> dict[str, Task]:
    return planned_tasks([STUDIES[name] for name in names], smoke)


def stages_of(sweep: str) -> list[Stage]:
    return read_sweep_file(ROOT / "sweeps" / f"{sweep}.yaml")[1]


@pytest.mark.parametrize("name", NAMES)
def test_published_figures(name: str) -> None:
    figures = STUDIES[name].published
    assert Counter((f.score, f.published, f.sd, f.n) for f in figures) == Counter(PUBLISHED[name])


def figure(name: str, value: float, **where: Any) -> Figure:
    """The only figure of a study with this value, and these among its `where`."""
    named = {key.replace("__", "."): wanted for key, wanted in where.items()}
    (found,) = [f for f in STUDIES[name].published if f.published == value and named.items() <= f.where.items()]
    return found


def test_figures_are_compared_with_the_right_runs() -> None:
    assert figure("straathof2019", 47.61).where == {"stage": "networks", "model": "9layer_bn"}
    assert figure("straathof2019", 51.14).where == {"model": "9layer_bn", "model.init.sigma": 0.1}
    assert figure("straathof2019", 51.1).near == {"lam": 1.8e-5}
    assert [f.rank for f in STUDIES["straathof2019"].published if f.where == {"stage": "coarse"}] == [1, 2, 3, 1, 1]
    assert figure("gelisgen2019", 1.108).where == {"model": "9layer_bn"}
    assert figure("gelisgen2019", 19.74).where == {"model": "3layer", "model.init.sigma": 0.1}
    assert figure("perrot2024", 52.77, stage="code").where == {"stage": "code", "model": "9layer_bn", "lam": 0.01634}
    assert figure("perrot2024", 54.64).rank == 3
    assert figure("jarvers2023", 24.3).where == {"stage": "decades", "lam": 0.1}
    assert figure("jarvers2023", 54.14).where == {"model": "3layer_bn", "model.init.sigma": 1e-4}
    assert figure("jarvers2023", 52.27).where == {"stage": "after", "model": "9layer_bn"}
    assert figure("jarvers2023", 28.97).where == {"data.test_augmentation.share": 1.0}
    assert figure("course_e", 53.44).step == "final"


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_and_finding_speaks_of_stages_and_settings_that_its_step_has(name: str) -> None:
    """`where` names a stage of the step's sweep, and values that some stage of it takes."""
    study = STUDIES[name]
    wheres = [(f.step, f.where) for f in study.published]
    wheres += [(f.step, side) for f in study.findings if f.kind == "difference" for side in (f.a, f.b)]
    for step, where in wheres:
        sweep = study.step(step).sweep
        assert sweep is not None
        chosen = [stage for stage in stages_of(sweep) if where.get("stage", stage.name) == stage.name]
        assert chosen, (step, where)
        for key, value in where.items():
            if key != "stage":
                assert any(takes(stage, key, value) for stage in chosen), (step, where)


def takes(stage: Stage, key: str, value: Any) -> bool:
    values = stage.params[key].values if key in stage.params else None
    return value in (values or []) or f"{key}={value}" in stage.budget or (key, value) == ("model.bn.statistics", "ema")


@pytest.mark.parametrize("name", ["straathof2019_final", "course_e_final"])
def test_final_trainings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (task,) = [task for folder, task in tasks_of(*FIVE).items() if folder == name]
    ((stage, settings),) = planned(task, tmp_path, monkeypatch)
    assert (settings.model.hidden, settings.model.bn.enabled) == (THREE, True)
    assert isinstance(settings.optimizer.schedule, CyclicSettings)
    expected = {"straathof2019_final": (0.0072, 2), "course_e_final": (0.00723267, 4)}
    assert (settings.lam, settings.optimizer.schedule.cycles) == expected[name]
    assert (settings.data.source, settings.plots, stage.n_trials) == ("cifar10", False, 5)


def planned(task: Task, cwd: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Stage, Settings]]:
    """What a dry run of a sweep's command would list: each stage and the settings of its first job."""
    plans: list[Any] = []
    monkeypatch.setattr("kls.sweep.dry_run.describe", lambda found: plans.append(found) or "")
    (command,) = task.commands
    assert command[:2] == ["kls.train", "--multirun"]
    outcome = sweep_in(cwd, *command[2:], "dry_run=true")
    assert (outcome.status, outcome.err) == (0, "")
    (found,) = plans
    return list(found)


SMALL = tasks_of(*NAMES, smoke=True)


@pytest.mark.parametrize("folder", ["perrot2024", "jarvers2023_networks", "best_lam_by_data", "bn_gain_by_depth"])
def test_miniatures_compose_and_are_small(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = SMALL[folder]
    found = planned(task, tmp_path, monkeypatch)
    assert [stage for stage, _ in found] == task.stages
    for _, settings in found:
        schedule = settings.optimizer.schedule
        assert isinstance(schedule, CyclicSettings)
        assert (schedule.n_s, settings.data.source) == (20, "synthetic")
        assert settings.data.n_train is not None
        assert settings.batch_size <= settings.data.n_train <= 3000


@pytest.mark.parametrize("folder", [folder for folder, task in SMALL.items() if task.stages])
def test_hydra_reads_the_stages_of_a_miniature(folder: str) -> None:
    task = SMALL[folder]
    (text,) = (a for a in task.commands[0] if a.startswith("hydra.sweeper.stages="))
    read = validate_group(Search, {"stages": OverridesParser.create().parse_override(text).value()}, "stages")
    assert read.stages == task.stages
    (sweep,) = (a.removeprefix("sweeps=") for a in task.commands[0] if a.startswith("sweeps="))
    assert [stage.name for stage in stages_of(sweep)] == [stage.name for stage in read.stages]
    assert task.runs <= 50
    for stage in read.stages:
        for override in stage.budget:
            assert not override.startswith("optimizer.schedule.n_s=") or override.endswith("=20")


def test_the_five_studies_in_miniature_are_few_runs() -> None:
    assert sum(task.runs for task in tasks_of(*FIVE, smoke=True).values()) <= 200
    assert sum(task.runs for task in tasks_of("questions", smoke=True).values()) <= 200


@pytest.mark.parametrize(
    ("folder", "labels"),
    [
        ("gradients_straathof2019", {"four_layers": ([50, 50, 50], False), "nine_layers_bn": (NINE, True)}),
        ("gradients_course_e", {"two_layers_bn": ([50], True), "three_layers_bn": (THREE, True)}),
        (
            "gradients_jarvers2023",
            {
                "three_layers": (THREE, False),
                "three_layers_bn": (THREE, True),
                "three_layers_bn_after": (THREE, True),
                "nine_layers": (NINE, False),
                "nine_layers_bn": (NINE, True),
            },
        ),
    ],
)
def test_gradient_checks(folder: str, labels: dict[str, tuple[list[int], bool]]) -> None:
    task = tasks_of(*FIVE)[folder]
    assert len(task.commands) == len(labels)
    for (module, *overrides, place), label in zip(task.commands, labels, strict=True):
        assert (module, place) == ("kls.gradcheck", f"hydra.run.dir=out/steps/{folder}/{label}")
        config = composed(*overrides, config_name="gradcheck")
        check = config.pop("gradcheck")
        assert (check["pictures"], check["dimensions"]) == (5, 30)
        model = validate(config).model
        assert (model.hidden, model.bn.enabled) == labels[label]


def test_steps_that_studies_share_are_run_once() -> None:
    folders = {name: {step.folder for step in STUDIES[name].steps} for name in FIVE}
    shared = [name for name in FIVE if "networks" in folders[name]]
    assert shared == ["straathof2019", "perrot2024", "jarvers2023"]
    assert [name for name in FIVE if "sensitivity_3layer" in folders[name]] == FIVE[1:4]
    tasks = tasks_of(*FIVE)
    assert list(tasks) == list(dict.fromkeys(step.folder for name in FIVE for step in STUDIES[name].steps))
    assert (len(tasks), sum(task.runs for task in tasks.values())) == (21, 404)
    assert tasks["networks"].lines == [
        "python -m kls.train --multirun sweeps=networks plots=false data=cifar10 hydra.sweep.dir=out/steps/networks"
    ]


def test_two_steps_that_differ_cannot_share_a_folder() -> None:
    study = STUDIES["straathof2019"]
    step = study.step("final").model_copy(update={"folder": "networks"})
    changed = study.model_copy(update={"steps": [*study.steps, step]})
    with pytest.raises(UserError) as mistake:
        planned_tasks([changed])
    assert str(mistake.value) == (
        "folder=networks: straathof2019.networks and straathof2019.final share it, but do not run the same"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"steps": []}, "steps=[]: List should have at least 1 item"),
        ({"tilte": "x"}, "tilte: there is no such setting"),
        ({"published": [{"what": "x", "step": "nets", "published": 1.0}]}, "step=nets: there is no such step"),
        ({"steps": [{"name": "a", "what": "x", "folder": "a"}]}, "step a: give sweep, gradients or plays"),
    ],
)
def test_mistakes_in_a_study(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    content = {"title": "t", "asked": "a", "steps": [{"name": "a", "what": "x", "folder": "a", "sweep": "seeds"}]}
    path = tmp_path / "mine.yaml"
    path.write_text(str(content | change), encoding="utf-8")  # the texts of these values are YAML too
    with pytest.raises(UserError) as mistake:
        read_study(path)
    assert str(mistake.value).startswith(f"{path}: ")
    assert says in str(mistake.value)


def test_figures_in_units_of_records() -> None:
    accuracy = figure("straathof2019", 51.14)
    assert (accuracy.value, accuracy.value_sd) == (pytest.approx(0.5114), pytest.approx(0.0034))
    loss = figure("gelisgen2019", 1.108)
    assert (loss.value, loss.value_sd) == (1.108, None)


def test_names(tmp_path: Path) -> None:
    assert [study.key for study in known()] == [*FIVE, "best_mlp", "questions"]
    assert [study.key for study in find("all")] == FIVE
    with pytest.raises(UserError, match=r"^perrot: there is no such study; there are straathof2019, perrot2024, "):
        find("perrot")
    broken = find("questions")[0].model_copy(update={"steps": [Step(name="a", what="b", folder="c", sweep="nets")]})
    with pytest.raises(UserError, match=r"^sweep=nets: there is no such sweep; there are best_lam_by_data, "):
        planned_tasks([broken])


def test_a_miniature_keeps_what_a_stage_is() -> None:
    stages = stages_of("perrot2024")
    small = Search.model_validate({"stages": [small_stage(stage).model_dump() for stage in stages]}).stages
    assert [stage.n_runs for stage in small] == [4, 4, 4, 4, 2]
    assert [stage.params["lam"].narrow for stage in small[1:4]] == [stage.params["lam"].narrow for stage in stages[1:4]]
    (data,) = map(small_stage, stages_of("best_lam_by_data"))
    assert data.params["data.n_train"].values == [100, 300, 900]
    assert (data.params["lam"].steps, data.params["seed"].values) == (5, [0, 1])


def test_all_files_of_conf_study_are_valid() -> None:
    for study in known():
        assert planned_tasks([study])
