"""A trained run, loaded again as a network that can be evaluated with any of the BN statistics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kls.config import build
from kls.config.settings import Settings
from kls.config.validation import validate
from kls.core.evaluation import evaluate, predict
from kls.core.network import Network
from kls.core.streams import stream
from kls.data.dataset import DataSet
from kls.data.raw_inputs import RawInputs
from kls.errors import UserError
from kls.records import names
from kls.records.arrays import check_shapes
from kls.records.run_folder import RunFolder


def load_settings(folder: Path) -> Settings:
    """The settings that the run in ``folder`` was made with. Raises UserError where it holds none that are valid."""
    config = RunFolder(folder).read_config()
    try:
        return validate(config)
    except UserError as error:
        first, *others = str(error).splitlines()
        more = f" (and {len(others)} more faults)" if others else ""
        raise UserError(f"{folder / names.CONFIG}: {first}{more}") from None


def load_data(folder: Path, settings: Settings, root: str, path: str | None = None) -> DataSet:
    """The run's data set, read from ``root``, or from the file ``path``: where they lie is not for its folder to say.

    It is fetched only where the run would do so into the same root. Raises UserError where it is missing or another.
    """
    elsewhere, own = settings.data.root != root, settings.data.path
    if (own is None) != (path is None):
        had = "no file of its own" if own is None else f"its data in {own[:200]!r}; say where they are by --data-path"
        raise UserError(f"{folder}: the run had {had}")
    there = {"root": root, "path": path, "download": settings.data.download and not elsewhere}
    try:
        data = build.data_set(settings.model_copy(update={"data": settings.data.model_copy(update=there)}))
        RunFolder(folder).check_data(data.facts)
    except UserError as error:
        there_before = f"; the run had its data in {settings.data.root[:200]!r}, see --data-root"
        raise UserError(f"{error}{there_before if elsewhere and own is None else ''}") from error
    return data


def load_network(
    folder: Path,
    checkpoint: str,
    settings: Settings,
    inputs: RawInputs,
    statistics: str | None = None,
    data: DataSet | None = None,
) -> Network:
    """The run's network (a population of one) from its checkpoint file "last.npz" or "best.npz".

    statistics: "ema", "precise" or "adaptive"; None takes the run's own. Those that the run did not
    keep are estimated with the trained weights on ``data``: "ema" over the last epoch's training mini-batches,
    "precise" over the last bn.precise_batches of them.
    Raises UserError where the checkpoint is missing, damaged or of another architecture.
    """
    kept = settings.model.bn.statistics
    wanted = statistics or kept
    shape = replace(build.architecture(settings, inputs), bn_statistics=wanted)
    network = build.blank_network(shape, [settings.model.bn.momentum], settings.batch_size)
    state = RunFolder(folder).read_checkpoint(checkpoint)
    try:
        needed = network.member_state(0)
        if wanted != kept:
            needed = {parameter.name: needed[parameter.name] for parameter in network.parameters}
        check_shapes(state, needed | {"step": np.array(0)})
        if wanted == kept:
            network.load_member(0, state)
        else:
            network.load_parameters(0, state)
            assert data is not None
            _observe(network, settings, data, int(state["step"]))
    except ValueError as error:
        raise UserError(f"{folder / checkpoint}: does not fit the run's settings ({error})") from None
    return network


def _observe(network: Network, settings: Settings, data: DataSet, step: int) -> None:
    """Let BN see the training mini-batches before ``step``, so that its statistics are those of the weights."""
    feed = build.batches(settings, data)
    wanted = network.architecture.bn_statistics
    if wanted == "adaptive":
        return
    n = settings.model.bn.precise_batches if wanted == "precise" else feed.steps_per_epoch
    rngs = [stream(settings.seed, "dropout", 1)]
    for earlier in range(max(0, step - n), max(step, n)):
        x, _ = feed.get(earlier)
        network.observe(x, rngs)


def score_splits(network: Network, settings: Settings, data: DataSet) -> tuple[dict[str, Any], np.ndarray]:
    """A report to be written as JSON, and the test set's confusion matrix (C, C), rows the true classes."""
    splits = {"train": data.train, "val": data.val, "test": build.test_split(settings, data)}
    report: dict[str, Any] = {"data": data.name, "data_fingerprint": data.fingerprint, "splits": {}}
    lam = np.array([settings.lam])
    for name, split in splits.items():
        scores = evaluate(network, split.x, split.y, lam)
        report["splits"][name] = {"pictures": len(split.x)} | {
            q: float(getattr(scores, q)[0]) for q in names.QUANTITIES
        }
    test = splits["test"]
    matrix = confusion(test.y, predict(network, test.x)[:, 0], len(data.class_names))
    pictures = matrix.sum(axis=1)
    report["class_accuracy"] = {
        name: float(matrix[c, c] / pictures[c]) if pictures[c] else None for c, name in enumerate(data.class_names)
    }
    report["confusion"] = matrix.tolist()
    return report, matrix


def confusion(labels: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Counts (C, C): row the true class, column the predicted one."""
    return np.bincount(labels * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)
