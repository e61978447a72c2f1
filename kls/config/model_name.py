"""What tables call a network: the file of conf/model that describes it, else its layers."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kls.config.project import project_root
from kls.config.settings import Settings
from kls.records import checked


def model_name(settings: Settings) -> str:
    """For example "3layer_bn", or "4-layer [2048, 1024, 512] with BN" if no file of conf/model has these layers."""
    model = settings.model
    return _names().get((tuple(model.hidden), model.bn.enabled), network_name(settings))


def network_name(settings: Settings) -> str:
    """For example "3-layer [50, 50] with BN"."""
    model = settings.model
    bn = ""
    if model.bn.enabled:
        bn = " with BN" + ("" if model.bn.placement == "before" else " after the activation")
    return f"{len(model.hidden) + 1}-layer {list(model.hidden)}{bn}"


@lru_cache(maxsize=1)
def _names() -> dict[tuple[tuple[int, ...], bool], str]:
    """Names of the files of conf/model by hidden layers and batch norm; of equal networks the first name."""
    found: dict[tuple[tuple[int, ...], bool], str] = {}
    for path in sorted((project_root() / "conf" / "model").glob("[!_]*.yaml")):
        content: dict[str, Any] = checked.parse_yaml(path, checked.read_text(path))
        network = tuple(content["hidden"]), bool(content.get("bn", {}).get("enabled", False))
        found.setdefault(network, path.stem)
    return found
