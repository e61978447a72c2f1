"""The configurations of a batch of jobs.

Hydra composes a job's configuration from its files each time, which takes longer than many a small training.
Jobs of a sweep mostly differ in single values alone: one of them is composed, and takes on the values of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

SUBFOLDER = "hydra.sweep.subdir"


class JobConfigs:
    """Composes what ``load_sweep_config`` of Hydra's loader would, from overrides that follow those of ``master``."""

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader, self._master = loader, master
        self._parse = lru_cache(1000)(OverridesParser.create().parse_override)  # most are all jobs'
        self._composed: dict[tuple[str, ...], tuple[DictConfig, DictConfig]] = {}
        self._groups = set(master.hydra.runtime.choices)

    def compose(self, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig]:
        """The settings of one job, until the next is asked for, and the hydra node of one like it.

        Raises what Hydra raises where they cannot be composed.
        """
        parsed = list(map(self._parse, overrides))
        if not all(map(_sets_a_value_or_choice, parsed)):
            return self._load(overrides)
        alike = tuple(o.input_line or "" if self._chooses(o) else o.key_or_group for o in parsed)
        if alike not in self._composed:
            self._composed[alike] = self._load(overrides)
            return self._composed[alike]
        own, hydra = self._composed[alike]
        for override in parsed:
            if not (self._chooses(override) or override.is_hydra_override()):
                OmegaConf.update(own, override.key_or_group, override.value())
        return own, hydra

    def of_hydra(self, overrides: Sequence[str]) -> tuple[str | None, list[str]]:
        """The name of a job's folder, if it is given one, and the overrides that are no settings of Hydra's."""
        parsed = list(map(self._parse, overrides))
        names = [str(o.value()) for o in parsed if o.key_or_group == SUBFOLDER]
        return names[-1] if names else None, [o.input_line or "" for o in parsed if not o.is_hydra_override()]

    def _load(self, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig]:
        config = self._loader.load_sweep_config(self._master, list(overrides))
        return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]), config.hydra

    def _chooses(self, override: Override) -> bool:
        """Whether it chooses a file of a group, as model=9layer does."""
        return "/" in override.key_or_group or override.key_or_group in self._groups


def _sets_a_value_or_choice(override: Override) -> bool:
    """Whether it is a plain key=value, and of nothing that steers the sweep."""
    value: Any = None if override.is_delete() else override.value()
    plain = not (override.is_delete() or override.is_add() or override.is_force_add() or isinstance(value, dict))
    return plain and not override.key_or_group.startswith(("hydra.launcher", "hydra.sweeper", "hydra.searchpath"))
