"""What Hydra may instantiate: the launchers and the sweeper that are named here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kls.errors import UserError

SWEEPER = "kls.sweep.staged_sweeper.StagedSweeper"
POPULATION = "kls.sweep.population_launcher.PopulationLauncher"
LAUNCHERS = (
    POPULATION,
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
    "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher",
    "hydra_plugins.hydra_ray_launcher.ray_aws_launcher.RayAWSLauncher",
)
WHITELIST = (SWEEPER, *LAUNCHERS)  # Hydra holds to it, in logging too


def check_arguments(arguments: Sequence[str]) -> None:
    """Raises UserError for an argument that would lead Hydra elsewhere before its configuration is composed."""
    for argument in arguments:
        if re.match(r"[+~]*hydra[.\[]searchpath", argument):
            raise UserError(f"{argument}: folders of settings are given by --config-dir alone")
        if re.match(r"[+~]*hydra/sweeper\b(?!=staged$)", argument):
            raise UserError(f"{argument}: {_WANTED['sweeper']}")


def check_targets(hydra: DictConfig) -> None:
    """Raises UserError where the composed ``hydra`` node names anything else to be called, or how to call it.

    The samplers in the stages of a sweep are checked by kls.sweep.samplers.
    """
    content: Any = OmegaConf.to_container(hydra, resolve=False)
    for group, allowed, own in (("sweeper", (SWEEPER,), ("staged",)), ("launcher", LAUNCHERS, _LAUNCHERS)):
        node = content.get(group)
        target = node.get("_target_") if isinstance(node, dict) else node
        if target not in allowed:
            choice = hydra.runtime.choices.get(f"hydra/{group}")
            shown = f"hydra.{group}._target_={target}" if choice in own else f"hydra/{group}={choice}"
            raise UserError(f"{shown}: {_WANTED[group]}")
        content[group] = {key: value for key, value in node.items() if key not in ("_target_", "stages")}
    for key in _special_keys(content, "hydra"):
        raise UserError(f"{key}: this project calls nothing that its settings name")


_LAUNCHERS = ("population", "joblib", "basic")
_WANTED = {
    "sweeper": "sweeps are run by hydra/sweeper=staged, the default, which takes lists on the command line as a grid, "
    "and the searches of sweeps/",
    "launcher": "must be hydra/launcher=population, joblib or basic, or that of submitit or ray where it is installed",
}


def _special_keys(content: Any, place: str) -> Iterator[str]:
    """Where a key such as _target_ or _args_ stands; "()" is its like in the settings of logging."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        here = f"{place}.{key}"
        if re.fullmatch(r"_[a-z]+_|\(\)", str(key)):
            yield here
        yield from _special_keys(value, here)
