"""Lets Hydra find sweeps/, which lies beside conf/ and not in it."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from kls.project import project_root


class SweepsSearchPath(SearchPathPlugin):
    """Adds the folder that holds sweeps/ for applications whose own folder is this project's conf/."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        own = str(project_root() / "conf")
        if any(entry.provider == "main" and entry.path.endswith(own) for entry in search_path.get_path()):
            search_path.append(provider="kls", path=f"file://{project_root()}")
