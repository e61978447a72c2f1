"""A study with every kind of step, figure and finding, and runs for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from made_up_runs import make_run, make_sweep

from kls.config.study_file import Study
from kls.plots.gradient_errors import plot_gradient_errors
from kls.records.checked import write_csv

NAUGHTY = "<script>alert('x')</script> & \"quotes\" | _bars_"
NETWORKS = {  # test accuracies by seed
    "3layer": (0.520, 0.530, 0.540),
    "3layer_bn": (0.525, 0.536, 0.544),
    "9layer": (0.40, 0.30, 0.35),
    "9layer_bn": (0.51, 0.52, 0.53),
}


def make_networks(folder: Path) -> None:
    """3 seeds of 4 networks; validation is a point higher than the test accuracies above."""
    stages = [{"name": "networks", "trials": 12, "sampler": "grid", "status": "finished"}]
    make_sweep(
        folder, stages, overrides=["sweeps=networks", "name=it's mine"], status="finished", metric="val_accuracy"
    )
    for number, (model, seed) in enumerate((m, s) for m in NETWORKS for s in range(3)):
        test = NETWORKS[model][seed]
        make_run(
            folder / "networks" / str(number), test + 0.01, test=test, model=model, seed=seed, history=2,
            metrics={"train_loss": 1.0 + 0.1 * seed, "kls_version": "9.9", "cpu": "A <CPU>", "population": 3},
        )  # fmt: skip
    (folder / "step.json").write_text(json.dumps({"seconds": 754.0, "commands": ["run <it>"], "ended": True}))


def make_search(folder: Path) -> None:
    """5 trials of lam, the best of them again with 3 seeds."""
    param = {"low": 1e-4, "high": 1.0, "scale": "log", "values": None, "source": "given"}
    stages: list[dict[str, Any]] = [
        {"name": "coarse", "trials": 5, "sampler": "random", "status": "finished", "params": {"lam": param}},
        {"name": "confirm", "trials": 3, "sampler": "grid", "status": "finished", "params": {}, "confirm": True},
    ]
    make_sweep(folder, stages, overrides=["sweeps=search"], status="finished", metric="val_accuracy")
    for i, (lam, score) in enumerate([(1e-4, 0.50), (1e-3, 0.546), (1e-2, 0.55), (0.03, 0.545), (0.1, 0.40)]):
        make_run(folder / "coarse" / str(i), score, lam=lam, model="3layer_bn", history=2)
    for seed, score in enumerate((0.53, 0.54, 0.55)):
        make_run(folder / "confirm" / str(seed), score, test=score - 0.01, lam=1e-2, seed=seed, model="3layer_bn")


def make_sensitivity(folder: Path) -> None:
    """With batch norm every run learns; without, all at 0.1, one of three at 0.001, none at 0.0001."""
    make_sweep(folder, [{"name": "grid", "status": "finished"}], overrides=["sweeps=s"], status="finished")
    without = {0.1: (0.53, 0.53, 0.53), 0.001: (0.1, 0.5, 0.1), 0.0001: (0.1, 0.1, 0.1)}
    number = 0
    for model in ("3layer", "3layer_bn"):
        for sigma, scores in without.items():
            for seed in range(3):
                score = 0.5 + 0.01 * seed if model == "3layer_bn" else scores[seed]
                make_run(
                    folder / "grid" / str(number), score, test=score, model=model, model__init__sigma=sigma, seed=seed
                )
                number += 1


def make_gradients(folder: Path) -> None:
    folder.mkdir(parents=True)
    columns = ("shape", "largest_error", "mean_error", "sum_analytic", "sum_numeric", "sum_of_errors", "on_a_kink")
    values = {"W1": ("30x50", 3e-9, 1e-10, 0.5, 0.5, 1e-8, 0), "b1": ("50", 2e-10, 1e-11, 0.25, 0.25, 1e-9, 1)}
    write_csv(
        folder / "gradients.csv",
        [{"parameter": name, **dict(zip(columns, row, strict=True))} for name, row in values.items()],
    )
    plot_gradient_errors({"W1": [3e-9, 1e-10], "b1": [2e-10]}, folder / "gradient_errors.png", "Gradients")  # type: ignore[dict-item]


def study(**changes: Any) -> Study:
    """The study of these steps; step ``later`` has never been run."""
    content: dict[str, Any] = {
        "key": "made_up",
        "title": f"A study {NAUGHTY}",
        "asked": "Does batch norm help?",
        "known": f"Text and code differ {NAUGHTY}.",
        "steps": [
            {"name": "networks", "folder": "networks", "what": "Networks.", "sweep": "networks"},
            {"name": "search", "folder": "search", "what": "Lambda.", "sweep": "search"},
            {"name": "sensitivity", "folder": "sensitivity", "what": "Sigma.", "sweep": "sensitivity"},
            {"name": "gradients", "folder": "gradients", "what": "Gradients.", "gradients": {"three": [], "nine": []}},
            {"name": "later", "folder": "later", "what": "Nobody has run this.", "sweep": "seeds"},
        ],
        "published": [
            {"what": "3 layers", "step": "networks", "where": {"model": "3layer"}, "published": 53.05},
            {"what": "3 layers, BN", "step": "networks", "where": {"model": "3layer_bn"}, "published": 60.0},
            {"what": "figure of later", "step": "later", "published": 50.0},
            {
                "what": "best of the search", "step": "search", "where": {"stage": "coarse"}, "score": "val_accuracy",
                "published": 54.88,
            },
        ],
        "findings": [
            {
                "kind": "difference", "what": "batch norm", "to": "9 layers", "step": "networks",
                "a": {"model": "9layer_bn"}, "b": {"model": "9layer"},
            },
            {"kind": "optimum", "step": "search", "setting": "lam"},
            {"kind": "learning", "step": "sensitivity", "setting": "sigma", "by": "model"},
            {"kind": "trend", "what": "batch norm", "step": "sensitivity", "setting": "sigma", "of": "bn.enabled"},
            {"kind": "optimum", "step": "later", "setting": "lam"},
        ],
    }  # fmt: skip
    return Study.model_validate(content | changes)


def make_steps(out: Path) -> Path:
    """All steps but ``later`` below ``out``; of the gradient checks one of two."""
    steps = out / "steps"
    make_networks(steps / "networks")
    make_search(steps / "search")
    make_sensitivity(steps / "sensitivity")
    make_gradients(steps / "gradients" / "three")
    return out
