"""The data set that settings ask for: loaded once for all runs that share it, and one at a time."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from entry_points import SMALL, composed

from kls.config import build
from kls.config.settings import Settings
from kls.config.validation import validate
from kls.data.dataset import DataSet
from kls.errors import UserError

FLIPPED = ("data.augmentation.flip=0.5", "data.test_augmentation.flip=1", "data.test_augmentation.share=0.5")


def settings(*overrides: str) -> Settings:
    return validate(composed(*SMALL, *overrides))


def test_runs_that_differ_in_augmentation_alone_share_their_pictures(cifar_root: Path) -> None:
    first = build.data_set(settings())
    assert build.data_set(settings("lam=0.1")) is first
    assert build.data_set(settings(*FLIPPED)) is first
    assert build.data_set(settings("dtype=float64")) is not first


def test_no_two_data_sets_are_held_at_once(cifar_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = weakref.ref(build.data_set(settings()).train.x)
    load = build.load_dataset

    def loaded(*arguments: object, **options: object) -> DataSet:
        gc.collect()
        assert held() is None
        return load(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(build, "load_dataset", loaded)
    assert len(build.data_set(settings("data.n_train=500")).train.x) == 500


def test_a_root_of_a_user_that_there_is_not() -> None:
    with pytest.raises(UserError) as caught:
        build.data_set(settings("data.root='~nobody-of-that-name/data'"))
    assert str(caught.value) == "data.root=~nobody-of-that-name/data: Could not determine home directory."
