"""The few lines that a person reads when a run has ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kls.config.model_name import network_name
from kls.config.settings import EnsembleSettings, Settings
from kls.core.augmentation import n_views
from kls.records import names


def summary(settings: Settings, metrics: Mapping[str, Any], folder: Path) -> str:
    """Data set, network, accuracies, time and folder, as aligned lines."""
    lines = [
        ("data set", f"{metrics['data']}: {metrics['n_train']:,} training, {metrics['n_val']:,} validation, "
                     f"{metrics['n_test']:,} test {settings.data.known.kind}{_held_out(metrics)}"),
        ("network", f"{network_name(settings)}, {metrics['parameters']:,} parameters"),
        ("training", f"{metrics['steps']:,} steps, {metrics['epochs']:.4g} epochs, seed {settings.seed}, "
                     f"lam {settings.lam:.4g}"),
    ]
    if metrics[names.STATUS] == names.DIVERGED:
        lines.append(("diverged", f"{metrics[names.MESSAGE]}; counted as chance, {metrics[names.VAL_ACCURACY]:.2%}"))
    elif metrics[names.STATUS] == names.PRUNED:
        lines.append(("pruned", f"{metrics[names.MESSAGE]}; validation {metrics[names.VAL_ACCURACY]:.2%} then"))
    else:
        best_epoch = metrics[names.BEST_STEP] * metrics["epochs"] / max(metrics["steps"], 1)
        lines.append(
            ("validation", f"{metrics[names.VAL_ACCURACY]:.2%} at the end, best {metrics[names.BEST_VAL_ACCURACY]:.2%} "
                           f"at epoch {best_epoch:.4g}")
        )
        if "test_accuracy" in metrics:
            lines.append(("test", f"{metrics['test_accuracy']:.2%} (one seed)"))
        if settings.ensemble.snapshots:
            lines.append(("ensemble", _ensemble(metrics, settings.ensemble)))
    speed = metrics["steps_per_second"]
    lines.append(("time", f"{metrics['seconds']:.1f} s" + (f", {speed:,.0f} steps a second" if speed else "")))
    lines.append(("folder", str(folder)))
    return "\n".join(f"{name:<11}{text}" for name, text in lines)


def _held_out(metrics: Mapping[str, Any]) -> str:
    share = metrics.get(names.TEST_HELD_OUT)
    return f" ({share:.3g} of each class, held out)" if share else ""


def _ensemble(metrics: Mapping[str, Any], ensemble: EnsembleSettings) -> str:
    accuracies = {split: metrics.get(names.ensemble_metric(split, "accuracy")) for split in ("val", "test")}
    test = "" if accuracies["test"] is None else f", test {accuracies['test']:.2%}"
    cycles = "cycle" if ensemble.snapshots == 1 else f"{ensemble.snapshots} cycles"
    views = "" if ensemble.reach is None else f", {n_views(ensemble.reach)} views of each picture"
    return f"validation {accuracies['val']:.2%}{test}: mean of the snapshots of the last {cycles}{views}"
