"""A trained run, read from its folder: what it predicts, and its records."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from kls.config.model_name import network_name
from kls.config.settings import Settings
from kls.core.evaluation import predict, probabilities
from kls.core.network import Network
from kls.data.raw_inputs import RawInputs
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.training.run_inputs import read_inputs
from kls.training.trained_network import load_network, load_settings

if TYPE_CHECKING:
    import pandas as pd

Checkpoint = Literal["last", "best"]


def load(folder: str | Path, checkpoint: Checkpoint = "last") -> Run:
    """A run that was trained in ``folder``.

    Parameters
    ----------
    folder : path
        Of the run: ``outputs/<name or date>/<time>``, or one of a sweep, ``.../<stage>/<number>``.
    checkpoint : {"last", "best"}
        Which network predicts: that of the end of the training, or the best on validation.

    Raises
    ------
    kls.UserError
        There is no run, or its settings are damaged. What predictions need is read by the first one.
    """
    return Run(Path(folder).expanduser(), checkpoint)


class Run:
    """A trained run.

    Attributes
    ----------
    folder : Path
    checkpoint : {"last", "best"}
    config : dict
        All settings, as in ``config.yaml``.
    metrics : dict
        Status, scores, sizes, times and versions, as in ``metrics.json``; accuracies are shares.
    history : pandas.DataFrame
        A row an evaluation: step, epoch, eta, and loss, cost and accuracy of train and val.
    classes : ndarray of shape (C,)
        Names of the classes; integers where all are texts of integers.
    """

    def __init__(self, folder: Path, checkpoint: Checkpoint = "last") -> None:
        self.folder, self.checkpoint = folder, checkpoint
        self._settings: Settings = load_settings(folder)

    @property
    def config(self) -> dict[str, Any]:
        return self._settings.model_dump()

    @cached_property
    def metrics(self) -> dict[str, Any]:
        return RunFolder(self.folder).read_metrics()

    @cached_property
    def history(self) -> pd.DataFrame:
        from kls.analysis.runs import read_history

        return read_history(self.folder)

    @cached_property
    def classes(self) -> NDArray[Any]:
        class_names = self._inputs.class_names
        whole = all(name.isdecimal() and str(int(name)) == name for name in class_names)
        return np.array([int(name) for name in class_names] if whole else class_names)

    def predict(self, x: ArrayLike) -> NDArray[Any]:
        """The class of each raw example.

        Parameters
        ----------
        x : array-like
            Raw examples as the data set has them, uint8 or float on its scale (pictures: grey levels 0 to 255):
            pictures (n, h, w) or (n, h, w, channels), or rows (n, d), of pictures channel after channel.

        Returns
        -------
        ndarray of shape (n,)
            Of `classes`; ``predict_index`` gives their places there.

        Notes
        -----
        A network whose batch norm is adaptive takes the statistics of all that is given at once.
        """
        return self.classes[self.predict_index(x)]

    def predict_index(self, x: ArrayLike) -> NDArray[np.intp]:
        """The place in `classes` of the class of each raw example: (n,) intp. See `predict`."""
        with threadpool_limits(self._settings.threads):
            return predict(self._network, self._inputs.apply(x))[:, 0]

    def predict_proba(self, x: ArrayLike) -> NDArray[np.float64]:
        """The softmax outputs, (n, C) float64, for each raw example and each of `classes`. See `predict`."""
        with threadpool_limits(self._settings.threads):
            return probabilities(self._network, self._inputs.apply(x))[:, 0]

    def __repr__(self) -> str:
        metrics = self.metrics
        keys = {split: names.metric(split, "accuracy") for split in names.SPLITS[1:]}
        scores = [f"{split} {metrics[key]:.2%}" for split, key in keys.items() if metrics.get(key) is not None]
        words = [f"{network_name(self._settings)} on {metrics.get('data')}", str(metrics.get(names.STATUS)), *scores]
        return f"Run({str(self.folder)!r}: {', '.join(words)})"

    @cached_property
    def _inputs(self) -> RawInputs:
        return read_inputs(self.folder, self._settings)

    @cached_property
    def _network(self) -> Network:
        return load_network(self.folder, f"{self.checkpoint}.npz", self._settings, self._inputs)
