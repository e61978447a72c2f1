"""From validated settings to the objects that they describe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from kls.config.data_settings import AugmentationSettings, DataSettings
from kls.config.settings import Settings
from kls.core import cross_entropy
from kls.core.architecture import Architecture
from kls.core.augmentation import Augmentation, Augmenter, augment_share, n_views
from kls.core.batches import Batches
from kls.core.network import Network
from kls.core.population import Member
from kls.core.streams import stream
from kls.data.dataset import DataSet, Split
from kls.data.load import load_dataset
from kls.data.projection import project
from kls.data.raw_inputs import RawInputs
from kls.data.source import Request
from kls.data.standardise import Sizes
from kls.errors import UserError

_kept: dict[tuple[object, ...], DataSet] = {}


def data_set(settings: Settings) -> DataSet:
    """The data set; the last one is kept, since the runs of a sweep mostly share it.

    Raises UserError where it cannot be read, or is not such as the settings need.
    """
    data = settings.data
    seen_anew = settings.ensemble.reach is not None or any(
        _augmentation(own).enabled for own in (data.augmentation, data.test_augmentation)
    )
    keep_pixels = data.projection is not None and seen_anew
    key = data.model_dump_json(exclude={"augmentation", "test_augmentation"}), settings.dtype, keep_pixels
    if key not in _kept:
        _kept.clear()  # first, so that never two are held
        _kept[key] = _loaded(data, settings.dtype, keep_pixels)
    found = _kept[key]
    try:
        settings.check_length(len(found.train.x))
        data.check_views(found.image_shape, settings.ensemble.reach, found.name)
    except ValueError as error:
        raise UserError(str(error)) from None
    return found


def _loaded(data: DataSettings, dtype: str, keep_pixels: bool) -> DataSet:
    try:
        root = Path(data.root).expanduser()
    except RuntimeError as error:  # no such user
        raise UserError(f"data.root={data.root}: {error}") from None
    loaded = load_dataset(
        data.source,
        Request(root, data.download, data.seed, Path(data.path) if data.path else None, data.target, data.test_share),
        Sizes(data.n_train, data.n_val, data.n_test),
        split_seed=data.split_seed,
        dtype=dtype,
    )
    return loaded if data.projection is None else project(loaded, data.projection, root, data.whitening, keep_pixels)


def test_split(settings: Settings, data: DataSet) -> Split:
    """The test pictures, a share of them augmented where data.test_augmentation says so."""
    augmentation = settings.data.test_augmentation
    if augmentation.share == 0.0 or not _augmentation(augmentation).enabled:
        return data.test
    return Split(data.projected(_test_pixels(settings, data)), data.test.y)


def _test_pixels(settings: Settings, data: DataSet) -> np.ndarray:
    augmentation, pixels = settings.data.test_augmentation, data.pixels.test.x
    rng = stream(settings.order_seed, "test augmentation")
    return augment_share(pixels, _augmentation(augmentation), augmentation.share, _shape(data), rng)


def views(settings: Settings, data: DataSet, split: str) -> Callable[[], Iterator[np.ndarray]]:
    """Gives, each time that it is called, the inputs (n, d or k) of "val" or "test" in each view of the ensemble."""
    reach = settings.ensemble.reach
    if reach is None:
        return lambda: iter([(test_split(settings, data) if split == "test" else data.val).x])
    augmenter = Augmenter(Augmentation(flip=1.0, translate=1.0, reach=reach), _shape(data))
    pixels = _test_pixels(settings, data) if split == "test" else data.pixels.val.x
    return lambda: (
        data.projected(augmenter.applied(pixels, np.full(len(pixels), view))) for view in range(n_views(reach))
    )


def _shape(data: DataSet) -> tuple[int, int, int]:
    assert data.image_shape is not None  # as `data_set` has checked
    return data.image_shape


def _augmentation(settings: AugmentationSettings) -> Augmentation:
    return Augmentation(settings.flip, settings.translate, settings.reach)


def architecture(settings: Settings, inputs: RawInputs) -> Architecture:
    """The network that model settings and the inputs of a data set make together."""
    model = settings.model
    n_inputs = inputs.preparation.n_inputs
    whitened = settings.data.whitening is not None
    return Architecture(
        n_inputs=n_inputs,
        hidden=tuple(model.hidden),
        n_classes=len(inputs.class_names),
        fan_in=n_inputs if whitened else inputs.n_raw,  # a rotation keeps the sum of the variances
        bn=model.bn.placement if model.bn.enabled else None,
        bn_epsilon=model.bn.epsilon,
        bn_statistics=model.bn.statistics,
        precise_batches=model.bn.precise_batches,
        dropout=model.dropout_rates,
        label_smoothing=model.label_smoothing,
        dtype=np.dtype(settings.dtype),
    )


def batches(settings: Settings, data: DataSet) -> Batches:
    """The mini-batches of the training."""
    q = cross_entropy.targets(
        data.train.y, len(data.class_names), settings.model.label_smoothing, np.dtype(settings.dtype)
    )
    augmentation = _augmentation(settings.data.augmentation)
    if not augmentation.enabled:
        return Batches(data.train.x, q, settings.batch_size, settings.order_seed)
    augmenter = Augmenter(augmentation, _shape(data))
    axes = None if data.projection is None else data.projection.axes
    return Batches(data.pixels.train.x, q, settings.batch_size, settings.order_seed, augmenter, axes)


def rates(settings: Settings, steps: int) -> np.ndarray:
    """The learning rate of every step, (steps,) float64."""
    return settings.optimizer.schedule.rates(np.arange(steps))


def member(settings: Settings, steps: int) -> Member:
    """One member of a population."""
    return Member(
        seed=settings.seed,
        lam=settings.lam,
        rates=rates(settings, steps),
        scheme=settings.model.init.scheme,
        sigma=settings.model.init.sigma,
        bn_momentum=settings.model.bn.momentum,
    )


def blank_network(architecture: Architecture, bn_momenta: Sequence[float], batch_size: int) -> Network:
    """A network with one member for each momentum, whose parameters are yet to be loaded."""
    zeros = [np.zeros((m, n)) for m, n in pairwise(architecture.widths)]
    return Network(architecture, [zeros] * len(bn_momenta), np.array(bn_momenta), batch_size)
