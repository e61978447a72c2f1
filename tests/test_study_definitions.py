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
from kls.config.validation import validate, validate_group
from kls.errors import UserError
from kls.studies import catalogue, miniature
from kls.studies.definition import Figure, Study, read_study
from kls.studies.plan import GRADCHECK, Task, Wish, plan
from kls.studies.sweep_file import read_sweep_file
from kls.sweep.stages import Search, Stage

ROOT = project_root()
NAMES = [*catalogue.FIVE, "questions"]
STUDIES = {name: catalogue.find(name, ROOT)[0] for name in NAMES}
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


def wish(smoke: bool = False, out: Path = Path("out")) -> Wish:
    return Wish(ROOT, "cifar10", smoke, out, 2)


def tasks_of(*names: str, smoke: bool = False) -> dict[str, Task]:
    return plan([STUDIES[name] for name in names], wish(smoke))


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
    wheres += [(f.step, side) for f in study.findings if f.kind == "gain" for side in (f.a, f.b)]
    for step, where in wheres:
        sweep = study.step(step).sweep
        assert sweep is not None
        stages = read_sweep_file(ROOT, sweep).stages
        chosen = [stage for stage in stages if where.get("stage", stage.name) == stage.name]
        assert chosen, (step, where)
        for key, value in where.items():
            if key != "stage":
                assert any(takes(stage, key, value) for stage in chosen), (step, where)


def takes(stage: Stage, key: str, value: Any) -> bool:
    values = stage.params[key].values if key in stage.params else None
    return value in (values or []) or f"{key}={value}" in stage.budget or (key, value) == ("model.bn.statistics", "ema")


@pytest.mark.parametrize("name", ["straathof2019_final", "course_e_final"])
def test_final_trainings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (task,) = [task for folder, task in tasks_of(*catalogue.FIVE).items() if folder == name]
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
    assert command.arguments[0] == "--multirun"
    outcome = sweep_in(cwd, *command.arguments[1:], "dry_run=true")
    assert (outcome.status, outcome.err) == (0, "")
    (found,) = plans
    return list(found)


SMALL = tasks_of(*NAMES, smoke=True)


@pytest.mark.parametrize("folder", ["perrot2024", "jarvers2023_networks", "best_lam_by_data", "bn_gain_by_depth"])
def test_miniatures_compose_and_are_small(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = SMALL[folder]
    found = planned(task, tmp_path, monkeypatch)
    assert [stage for stage, _ in found] == [stage for stage, _ in task.stages]
    for _, settings in found:
        schedule = settings.optimizer.schedule
        assert isinstance(schedule, CyclicSettings)
        assert (schedule.n_s, settings.data.source) == (20, "synthetic")
        assert settings.data.n_train is not None
        assert settings.batch_size <= settings.data.n_train <= 3000


@pytest.mark.parametrize("folder", [folder for folder, task in SMALL.items() if task.stages])
def test_hydra_reads_the_stages_of_a_miniature(folder: str) -> None:
    task = SMALL[folder]
    (text,) = (a for a in task.commands[0].arguments if a.startswith("hydra.sweeper.stages="))
    read = validate_group(Search, {"stages": OverridesParser.create().parse_override(text).value()}, "stages")
    assert read.stages == [stage for stage, _ in task.stages]
    full = read_sweep_file(ROOT, task.step.sweep or "")
    assert [stage.name for stage in full.stages] == [stage.name for stage in read.stages]
    assert task.runs <= 48
    for stage in read.stages:
        for override in stage.budget:
            assert not override.startswith("optimizer.schedule.n_s=") or override.endswith("=20")


def test_the_five_studies_in_miniature_are_few_runs() -> None:
    assert sum(task.runs for task in tasks_of(*catalogue.FIVE, smoke=True).values()) <= 200
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
    task = tasks_of(*catalogue.FIVE)[folder]
    assert [command.folder.name for command in task.commands] == list(labels)
    for command in task.commands:
        assert command.module == GRADCHECK
        *overrides, place = command.arguments
        assert place == f"hydra.run.dir=out/steps/{folder}/{command.folder.name}"
        config = composed(*overrides, config_name="gradcheck")
        check = config.pop("gradcheck")
        assert (check["pictures"], check["dimensions"]) == (5, 30)
        model = validate(config).model
        assert (model.hidden, model.bn.enabled) == labels[command.folder.name]


def test_steps_that_studies_share_are_run_once() -> None:
    owners = catalogue.shared([STUDIES[name] for name in catalogue.FIVE])
    assert owners["networks"] == ["straathof2019", "perrot2024", "jarvers2023"]
    assert owners["sensitivity_3layer"] == ["perrot2024", "gelisgen2019", "jarvers2023"]
    tasks = tasks_of(*catalogue.FIVE)
    assert list(tasks) == list(owners)
    assert str(tasks["networks"].commands[0]) == (
        "python -m kls.train --multirun sweeps=networks data=cifar10 plots=false hydra.sweep.dir=out/steps/networks"
    )


def test_two_steps_that_differ_cannot_share_a_folder() -> None:
    study = STUDIES["straathof2019"]
    step = study.step("final").model_copy(update={"folder": "networks"})
    changed = study.model_copy(update={"steps": [*study.steps, step]})
    with pytest.raises(UserError) as mistake:
        plan([changed], wish())
    assert str(mistake.value) == (
        "folder=networks: straathof2019.networks and straathof2019.final share it, but do not run the same"
    )


def test_the_five_take_half_an_hour_on_two_cores() -> None:
    assert 10 * 60 < sum(task.seconds for task in tasks_of(*catalogue.FIVE).values()) < 30 * 60
    assert sum(task.seconds for task in tasks_of("questions").values()) < 25 * 60


def test_weights_of_stages() -> None:
    """Steps, layers, width, projection and cycles all weigh; on enough cores a stage takes as long as one run."""
    tasks = tasks_of(*NAMES)

    def seconds(folder: str, stage: str) -> float:
        (found,) = [(s.n_trials, weight) for s, weight in tasks[folder].stages if s.name == stage]
        n, weight = found
        return 2 * weight / n - 0.25  # of one run

    assert 3.0 < seconds("straathof2019", "coarse") / 1.0 * 2 < 8.0
    assert seconds("straathof2019", "fine") == pytest.approx(2 * seconds("straathof2019", "coarse"))
    assert seconds("course_e", "confirm") == pytest.approx(4 * seconds("straathof2019", "coarse"))
    assert seconds("jarvers2023_networks", "wide") > 3 * seconds("networks", "networks")
    assert seconds("networks", "he") > 1.4 * seconds("straathof2019", "fine")
    assert seconds("best_lam_by_data", "grid") > 1.5 * seconds("bn_statistics", "running_100") * 3 / 9
    assert plan([STUDIES["course_e"]], wish())["course_e_final"].seconds == pytest.approx(
        plan([STUDIES["course_e"]], Wish(ROOT, "cifar10", False, Path("out"), 1))["course_e_final"].seconds / 2, rel=0.1
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"steps": []}, "steps: List should have at least 1 item"),
        ({"tilte": "x"}, "tilte: Extra inputs are not permitted"),
        ({"published": [{"what": "x", "step": "nets", "published": 1.0}]}, "step=nets: there is no such step"),
        ({"steps": [{"name": "a", "what": "x", "folder": "a"}]}, "step a: give sweep, or gradients"),
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


def test_names() -> None:
    assert [study.key for study in catalogue.find("all", ROOT)] == list(catalogue.FIVE)
    with pytest.raises(UserError, match=r"^perrot: there is no such study; there are straathof2019, perrot2024, "):
        catalogue.find("perrot", ROOT)
    with pytest.raises(
        UserError, match=r"^sweep=nets: there is no such file in .*sweeps; there are best_lam_by_data, "
    ):
        read_sweep_file(ROOT, "nets")


def test_settings_of_a_sweep_file_and_the_model_it_chooses() -> None:
    assert read_sweep_file(ROOT, "epsilon_sigma").settings == {
        "model": "9layer_bn",
        "name": "epsilon_sigma",
        "data.projection": 0.99,
        "optimizer.schedule.cycles": 1,
    }


def test_a_miniature_keeps_what_a_stage_is() -> None:
    file = read_sweep_file(ROOT, "perrot2024")
    small = validate_group(Search, {"stages": [miniature.small_stage(s).model_dump() for s in file.stages]}, "stages")
    assert [stage.n_trials for stage in small.stages] == [4, 4, 4, 4, 2]
    assert [stage.params["lam"].narrow for stage in small.stages[1:4]] == [
        stage.params["lam"].narrow for stage in file.stages[1:4]
    ]
    (data,) = (miniature.small_stage(stage) for stage in read_sweep_file(ROOT, "best_lam_by_data").stages)
    assert data.params["data.n_train"].values == [100, 300, 900]
    assert (data.params["lam"].steps, data.params["seed"].values) == (4, [0, 1])


def test_all_files_of_conf_study_are_valid() -> None:
    for name in catalogue.known(ROOT):
        (study,) = catalogue.find(name, ROOT)
        assert isinstance(study, Study)
        assert plan([study], wish())
