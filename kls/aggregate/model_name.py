"""What tables call a run's network: the file of conf/model that was chosen, unless its layers were replaced."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from kls.config.model_name import network_name
from kls.config.project import project_root
from kls.config.settings import ModelSettings, Settings
from kls.config.validation import validate_group
from kls.errors import UserError
from kls.records import checked, names
from kls.records.small_files import read_yaml_text

_CHOSEN = re.compile(r"^ +choices:\n(?: {6}.*\n)*? {6}model: ([\w.+-]+)$", re.MULTILINE)


def model_name(run: Path, config: dict[str, Any] | None) -> str | None:
    """The chosen file's name; of a run with other layers, or without records of Hydra, one made of its settings.

    run: its folder. config: as in config.yaml. None where neither tells.
    """
    chosen, network = _chosen(run), _network(config)
    if chosen is None or network is None:
        return chosen or _described(config)
    return chosen if _network_of_file(chosen) in (None, network) else _described(config)


def _chosen(run: Path) -> str | None:
    """The file of conf/model that was chosen, from the records of Hydra."""
    try:
        found = _CHOSEN.search(read_yaml_text(run / names.HYDRA_CHOICES))
    except (FileNotFoundError, UserError):
        return None
    return found[1] if found else None


def _network(config: Any) -> tuple[list[int], bool] | None:
    """Units of the hidden layers, and whether they have batch norm."""
    try:
        model = config["model"]
        return [int(units) for units in model["hidden"]], bool(model["bn"]["enabled"])
    except (KeyError, TypeError, ValueError):
        return None


@lru_cache
def _network_of_file(name: str) -> tuple[list[int], bool] | None:
    """The same of a file of conf/model; None where it is not there, as one of a user's own folder is not."""
    try:
        path = project_root() / "conf" / "model" / f"{name}.yaml"
        content = checked.parse_yaml(path, read_yaml_text(path))
    except (FileNotFoundError, UserError):
        return None
    return _network({"model": {"bn": {"enabled": False}} | (content or {})})


def _described(config: dict[str, Any] | None) -> str | None:
    """For example "3-layer [50, 50] with BN", from the model's settings alone: others may be of another version."""
    try:
        valid: dict[str, Any] = {"model": validate_group(ModelSettings, (config or {}).get("model"))}
    except UserError:
        return None
    return network_name(Settings.model_construct(**valid))
