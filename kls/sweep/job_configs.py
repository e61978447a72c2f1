"""The composed configurations of a batch of jobs.

Hydra composes a job's configuration from its files each time, which takes longer than many a small training.
Jobs of a sweep mostly differ in single values alone: one of them is composed, and the others are copies of it
with their own values.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict, read_write


class JobConfigs:
    """Composes what ``load_sweep_config`` of Hydra's loader would, from overrides that follow those of ``master``."""

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader, self._master = loader, master
        self._parser = OverridesParser.create()
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        self._groups = set(master.hydra.runtime.choices)
        first = OmegaConf.to_container(master.hydra.overrides.hydra)
        assert isinstance(first, list)
        self._first = first

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of one job. Raises what Hydra raises where it cannot be composed."""
        parsed = self._parser.parse_overrides(list(overrides))
        if not all(map(_sets_a_value_or_choice, parsed)):
            return self._loader.load_sweep_config(self._master, list(overrides))
        values = [o for o in parsed if not self._chooses(o)]
        alike = tuple(o.input_line or "" if self._chooses(o) else o.key_or_group for o in parsed)
        if alike not in self._composed:
            self._composed[alike] = self._loader.load_sweep_config(self._master, list(overrides))
            return copy.deepcopy(self._composed[alike])
        config = copy.deepcopy(self._composed[alike])
        for override in values:
            OmegaConf.update(config, override.key_or_group, override.value())
        with read_write(config.hydra), open_dict(config.hydra):
            given = config.hydra.overrides
            given.hydra = [*self._first, *(o.input_line for o in parsed if o.is_hydra_override())]
            given.task = [o.input_line for o in parsed if not o.is_hydra_override()]
        return config

    def _chooses(self, override: Override) -> bool:
        """Whether it chooses a file of a group, as model=9layer does."""
        return "/" in override.key_or_group or override.key_or_group in self._groups


def _sets_a_value_or_choice(override: Override) -> bool:
    """Whether it is a plain key=value, and of nothing that steers the sweep."""
    value: Any = None if override.is_delete() else override.value()
    plain = not (override.is_delete() or override.is_add() or override.is_force_add() or isinstance(value, dict))
    return plain and not override.key_or_group.startswith(("hydra.launcher", "hydra.sweeper", "hydra.searchpath"))
