"""Which folders are taken for runs, what is read of them, and which are named as broken."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_up_runs import CONFIG, make_failed_start, make_run, make_sweep

from kls.aggregate.collect import Collection, collect
from kls.aggregate.configs import read_config
from kls.config.flat_settings import flatten
from kls.errors import UserError
from kls.records import names


def collected(*paths: Path) -> tuple[Collection, list[str]]:
    warnings: list[str] = []
    return collect(paths, warnings.append), warnings


def test_runs_are_found_at_any_depth_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("b/10", "b/9", "a/x/y/0", "b/9/inner"):
        make_run(tmp_path / name, model="3layer")
    (tmp_path / "empty").mkdir()
    make_run(tmp_path / ".trash" / "0")
    found, warnings = collected(tmp_path)
    assert [run.identity["folder"] for run in found.runs] == ["a/x/y/0", "b/9", "b/9/inner", "b/10"]
    assert warnings == []


def test_settings_metrics_and_model_of_a_run(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.53, model="3layer_bn", lam=1e-5, metrics={"note": [1, 2]})
    (run,) = collected(tmp_path)[0].runs
    expected = flatten(CONFIG) | {"lam": 1e-5, "model.hidden": "[50, 50]"}
    assert run.settings == expected
    assert run.metrics["val_accuracy"] == 0.53
    assert run.metrics["note"] == "[1, 2]"
    assert run.identity == {"folder": "0", "status": "finished", "model": "3layer_bn"}
    assert run.path == tmp_path / "0"


def test_without_records_of_hydra_the_network_names_the_model(tmp_path: Path) -> None:
    make_run(tmp_path / "0", model__hidden=[30])
    make_run(tmp_path / "1", model__hidden=[30], lam="of another version")
    make_run(tmp_path / "2", model__hidden="of another version")
    found, _ = collected(tmp_path)
    assert [run.identity["model"] for run in found.runs] == ["2-layer [30] with BN", "2-layer [30] with BN", None]


@pytest.mark.parametrize(
    ("chosen", "settings", "expected"),
    [
        ("9layer_bn", {"model__bn__placement": "after"}, "9layer_bn"),
        ("3layer", {"model__hidden": [50]}, "2-layer [50]"),
        ("3layer", {"model__bn__enabled": True}, "3-layer [50, 50] with BN"),
        ("3layer_bn", {"model__bn__enabled": False}, "3-layer [50, 50]"),
        ("3layer_bn", {"model__hidden": "of another version"}, "3layer_bn"),
    ],
)
def test_a_network_other_than_that_of_the_chosen_file_has_its_own_name(
    chosen: str, settings: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    make_run(tmp_path / "0", model=chosen, **settings)
    assert collected(tmp_path)[0].runs[0].identity["model"] == expected


def test_a_file_of_ones_own_names_the_model(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "0", model="3layer", model__hidden=[7])
    records = folder / ".hydra" / "hydra.yaml"
    records.write_text(records.read_text().replace("3layer", "mine"))
    assert collected(tmp_path)[0].runs[0].identity["model"] == "mine"


def test_runs_of_a_sweep_have_stage_and_trial(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path / "study" / "s", [{"name": "coarse"}], metric="test_accuracy", status="running")
    make_run(sweep / "coarse" / "3")
    make_run(tmp_path / "study" / "single")
    found, _ = collected(tmp_path / "study")
    single, member = sorted(found.runs, key=lambda run: run.identity["folder"] != "single")
    assert member.identity.items() >= {"sweep": "s", "stage": "coarse", "trial": 3, "folder": "s/coarse/3"}.items()
    assert "sweep" not in single.identity
    assert (found.sweeps["s"].metric, found.sweeps["s"].status) == ("test_accuracy", "running")


@pytest.mark.parametrize(("path", "folder"), [("s", "coarse/3"), ("s/coarse", "3"), ("s/coarse/3", "3")])
def test_a_path_inside_a_sweep_knows_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, folder: str
) -> None:
    make_sweep(tmp_path / "s", [{"name": "coarse"}])
    make_run(tmp_path / "s" / "coarse" / "3")
    monkeypatch.chdir(tmp_path / path)
    (run,) = collected(Path())[0].runs
    assert run.identity.items() >= {"folder": folder, "sweep": "s", "stage": "coarse", "trial": 3}.items()


def test_sweeps_of_one_name_in_two_paths_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("a", "b"):
        make_sweep(tmp_path / path / "s", [{"name": f"stage_{path}"}])
        make_run(tmp_path / path / "s" / f"stage_{path}" / "0")
    monkeypatch.chdir(tmp_path)
    found, _ = collected(Path("a"), Path("b/s/stage_b"))
    names_ = {run.identity["sweep"]: run.identity["stage"] for run in found.runs}
    assert names_ == {"a/s": "stage_a", (tmp_path / "b" / "s").as_posix(): "stage_b"}
    assert {name: sweep.stages[0].name for name, sweep in found.sweeps.items()} == names_


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "not valid JSON"),
        ('{"stages": [{"trials": 3}]}', "stages.0.name: Field required"),
        ("[1]", "holds no JSON object"),
    ],
)
def test_a_damaged_sweep_is_named_and_its_runs_are_read(tmp_path: Path, content: str, why: str) -> None:
    make_run(tmp_path / "coarse" / "0")
    make_run(tmp_path / "coarse" / "1")
    (tmp_path / "sweep.json").write_text(content)
    found, warnings = collected(tmp_path)
    assert [run.identity["stage"] for run in found.runs] == ["coarse", "coarse"]
    (warning,) = warnings
    assert why in warning
    assert "\n" not in warning


def test_several_paths_give_each_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path / "a" / "0")
    make_run(tmp_path / "b" / "0")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    found, _ = collected(Path("a"), Path("b/0"), Path(), Path("link"), tmp_path)
    assert [run.identity["folder"] for run in found.runs] == ["a/0", "b/0"]


def broken(folder: Path, metrics: str | None, config: str | None = None) -> Path:
    folder.mkdir(parents=True)
    if metrics is not None:
        (folder / names.METRICS).write_text(metrics)
    if config is not None:
        (folder / names.CONFIG).write_text(config)
    return folder


FINISHED = json.dumps({"status": "finished", "val_accuracy": 0.5})


@pytest.mark.parametrize(
    ("metrics", "config", "why"),
    [
        ('{"status": "fin', "lam: 1\n", "metrics.json: not valid JSON"),
        ("[1]", "lam: 1\n", "metrics.json: holds no JSON object"),
        (None, "lam: 1\n", "has no metrics.json; it has only just begun, or was stopped there"),
        ("{}", "lam: 1\n", "has no metrics.json; it has only just begun, or was stopped there"),
        ('{"status": "won"}', "lam: 1\n", "has the status 'won', which is none of finished, diverged, failed"),
        ('{"status": "finished"}', "lam: 1\n", "is finished, but metrics.json has no number as val_accuracy"),
        ('{"status": "finished", "val_accuracy": NaN}', "lam: 1\n", "val_accuracy=nan is not a share"),
        (FINISHED, None, "is finished, but has no config.yaml"),
        (FINISHED, "lam: [1\n", "config.yaml: not valid YAML"),
        (FINISHED, "", "config.yaml: holds no settings"),
        (FINISHED, "- 1\n- 2\n", "config.yaml: holds no settings"),
        (FINISHED, "- 1\nlam: 2\n", "config.yaml: not valid YAML"),
        (FINISHED, "lam: 2\n---\nlam: 3\n", "config.yaml: not valid YAML"),
    ],
)
def test_a_broken_run_is_named_in_one_line_and_skipped(
    tmp_path: Path, metrics: str | None, config: str | None, why: str
) -> None:
    make_run(tmp_path / "sound")
    folder = broken(tmp_path / "broken", metrics, config)
    found, warnings = collected(tmp_path)
    assert [run.identity["folder"] for run in found.runs] == ["sound"]
    (warning,) = warnings
    assert warning.startswith(f"skipped: {folder}")
    assert why in warning
    assert "\n" not in warning


def test_a_run_that_failed_before_it_had_settings_is_listed_with_those_of_its_command(tmp_path: Path) -> None:
    overrides = ["lam=1e-3", "model=9layer", "+model.hidden=[5,6]", "model.init.sigma=null", "~data", "seed=3"]
    make_failed_start(tmp_path / "0", "no data", overrides)
    (run,) = collected(tmp_path)[0].runs
    assert run.identity == {"folder": "0", "status": "failed", "model": "9layer"}
    assert run.settings["lam"] == 0.001
    assert (run.settings["model.hidden"], run.settings["seed"]) == ("[5, 6]", 3)
    assert run.settings["model.init.sigma"] is None


@pytest.mark.parametrize("content", ["", "[", "a: b\n", "\xff"])
def test_strange_records_of_hydra_do_not_hide_a_failed_run(tmp_path: Path, content: str) -> None:
    folder = make_failed_start(tmp_path / "0", "no data")
    (folder / ".hydra" / "overrides.yaml").write_text(content, encoding="latin-1")
    (run,) = collected(tmp_path)[0].runs
    assert (run.identity["status"], run.settings) == ("failed", {})


def test_paths_without_runs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, why in (("none", "there is no such folder"), ("file", "is not a folder"), ("", "no runs there")):
        with pytest.raises(UserError, match=why):
            collected(tmp_path / path)


@pytest.mark.parametrize(
    "text",
    [
        yaml.safe_dump(CONFIG, sort_keys=False),
        yaml.safe_dump(CONFIG, default_flow_style=True),
        "# comment\nlam: 1\n\nmodel:\n  hidden:\n\n  - 1\n",
        "---\na: 1\n",
        "a:\n- 1\n- {b: 2}\nc: |\n  text\n\n  more\nd: 'x\n  y'\n",
        "a: 1",
        "a: 1\na: 2\n",
        "{a: 1, b: [2, 3]}\n",
        "'quoted key': true\n? odd\n: 1\n",
    ],
)
def test_settings_read_by_blocks_equal_those_read_at_once(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    expected: dict[str, Any] = yaml.safe_load(text)
    for _ in range(2):
        assert read_config(tmp_path / "config.yaml") == expected
    assert read_config(tmp_path / "other.yaml") is None
