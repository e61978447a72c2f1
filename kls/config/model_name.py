"""What tables call a network: the user's file that was chosen, else that of conf/model with its layers, else these."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from kls.config.own_configs import choices
from kls.config.project import project_root
from kls.config.settings import Settings
from kls.errors import UserError
from kls.records import checked

_Network = tuple[tuple[int, ...], bool]  # hidden layers, batch norm


def model_name(settings: Settings, choice: str | None = None, own: Path | None = None) -> str:
    """For example "3layer_bn", or "4-layer [2048, 1024, 512] with BN" if no file of conf/model has these layers.

    choice: of the group model; it is the name if its file lies in ``own``, the folder of --config-dir, and what it says
    of the layers has not been overridden.
    """
    network = tuple(settings.model.hidden), settings.model.bn.enabled
    if choice is not None and own is not None and _own_network(choice, own) == network:
        return choice
    return _names().get(network, network_name(settings))


def network_name(settings: Settings) -> str:
    """For example "3-layer [50, 50] with BN"."""
    model = settings.model
    bn = ""
    if model.bn.enabled:
        bn = " with BN" + ("" if model.bn.placement == "before" else " after the activation")
    return f"{len(model.hidden) + 1}-layer {list(model.hidden)}{bn}"


@lru_cache(maxsize=1)
def _names() -> dict[_Network, str]:
    """Names of the files of conf/model by hidden layers and batch norm; of equal networks the first name."""
    found: dict[_Network, str] = {}
    for path in sorted((project_root() / "conf" / "model").glob("[!_]*.yaml")):
        content: dict[str, Any] = checked.parse_yaml(path, checked.read_text(path))
        network = tuple(content["hidden"]), bool(content.get("bn", {}).get("enabled", False))
        found.setdefault(network, path.stem)
    return found


@lru_cache(maxsize=100)
def _own_network(choice: str, own: Path) -> _Network | None:
    """What a file of a user's folder says, with those of its list of defaults; None if it is none of that folder."""
    files = choices("model", own)
    if choice not in files or not files[choice].is_relative_to(own):
        return None
    hidden, enabled, left = None, None, [choice]
    try:
        for name in left:  # a file's own values stand before those of its defaults
            content = checked.parse_yaml(files[name], checked.read_text(files[name]))
            hidden = content.get("hidden") if hidden is None else hidden
            enabled = content.get("bn", {}).get("enabled") if enabled is None else enabled
            named = [entry for entry in reversed(content.get("defaults", [])) if isinstance(entry, str)]
            left += [entry for entry in named if entry in files and entry not in left]
    except (UserError, AttributeError, TypeError):  # such a file is told of by what composes it
        return None
    return tuple(hidden or ()), bool(enabled)
