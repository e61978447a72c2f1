"""What a file of sweeps/ holds: its stages and its own settings, read without Hydra."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kls.config.flat_settings import flatten
from kls.config.validation import validate_group
from kls.errors import UserError
from kls.records.checked import parse_yaml
from kls.records.small_files import read_yaml_text
from kls.sweep.stages import Search, Stage


@dataclass(frozen=True)
class SweepFile:
    """The stages of a sweep and its settings beside them, with dotted keys; groups such as model have file names."""

    stages: list[Stage]
    settings: dict[str, Any]


def read_sweep_file(root: Path, name: str) -> SweepFile:
    """sweeps/<name>.yaml below ``root``. Raises UserError where there is none or it has no valid stages."""
    path = root / "sweeps" / f"{name}.yaml"
    try:
        content = parse_yaml(path, read_yaml_text(path))
        stages = content.pop("hydra")["sweeper"]["stages"]
        choices = _choices(content.pop("defaults", []))
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise UserError(f"sweep={name}: there is no such file in {path.parent}; there are {known}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: holds no stages ({error})") from None
    search = validate_group(Search, {"stages": stages}, str(path))
    return SweepFile(list(search.stages), choices | flatten(content))


def _choices(defaults: list[dict[str, str]]) -> dict[str, str]:
    """Groups and the files chosen of them, from entries such as {"override /model": 9layer_bn}."""
    return {group.removeprefix("override /"): file for entry in defaults for group, file in entry.items()}
