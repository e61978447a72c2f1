"""Where Hydra finds settings: conf/ and sweeps/ of this project, a user's folder of --config-dir, and nothing else.

What is listed, by --help and by completion, is what a user can choose. Studies are no settings.
"""

from __future__ import annotations

import builtins
import io
from pathlib import Path, PurePosixPath

import yaml
from hydra._internal.core_plugins import structured_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_search_path import ConfigSearchPath, SearchPathElement
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kls.config.own_configs import EXPERIMENT, STUDY, SWEEPS, check_file
from kls.config.project import project_root
from kls.errors import DamageError, UserError
from kls.records.checked import fault_text, read_text

SWEEPER_GROUP, SWEEPER = "hydra/sweeper", "staged"


class FileConfigSource(ConfigSource):
    """A folder of YAML files, in the place of Hydra's own source of ``file://``, which knows it by this name."""

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, path if "://" in path else f"{self.scheme()}://{path}")

    @staticmethod
    def scheme() -> str:
        return "file"

    def place(self, config_path: str) -> Path:
        """The folder or file of a group or choice, such as model/3layer.yaml."""
        return Path(self.path, config_path)

    def load_config(self, config_path: str) -> ConfigResult:
        path = self.place(self._normalize_file_name(config_path))
        text = read_text(path)
        try:
            header = self._get_header_dict(text[:512])
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
        config = _parsed(path, text)
        if OmegaConf.select(config, "hydra.searchpath", throw_on_resolution_failure=False) is not None:
            raise UserError(f"{path}: hydra.searchpath: folders of settings are given by --config-dir alone")
        self.check(path, PurePosixPath(config_path).parent.as_posix(), text, config)
        return ConfigResult(self.provider, f"{self.scheme()}://{self.path}", config, header)

    def check(self, path: Path, group: str, text: str, config: DictConfig) -> None:
        """Raises UserError where a file of this folder is not what its place says."""
        if group != ".":
            check_file(path, group, text, config)

    def available(self) -> bool:
        return Path(self.path).is_dir()

    def is_group(self, config_path: str) -> bool:
        return _is_setting(config_path) and self.place(config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        return _is_setting(config_path) and self.place(self._normalize_file_name(config_path)).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> builtins.list[str]:
        """The groups and choices in a group; names that begin with a dot or _ are for other files' defaults."""
        found = set()
        folder = self.place(config_path)
        for path in folder.iterdir() if folder.is_dir() else ():
            kind = ObjectType.GROUP if path.is_dir() else ObjectType.CONFIG
            chosen = path.name != STUDY if kind is ObjectType.GROUP else path.suffix == ".yaml"
            if chosen and results_filter in (None, kind) and not path.name.startswith((".", "_")):
                found.add(path.name if kind is ObjectType.GROUP else path.stem)
        return sorted(found)


class ProjectSource(FileConfigSource):
    """conf/ and, as the group sweeps, sweeps/ below this project's root."""

    @staticmethod
    def scheme() -> str:
        return "kls"

    def place(self, config_path: str) -> Path:
        sweeps = PurePosixPath(config_path).parts[:1] == (SWEEPS,)
        return Path(self.path, config_path) if sweeps else Path(self.path, "conf", config_path)

    def check(self, path: Path, group: str, text: str, config: DictConfig) -> None:
        """This project's own files are what they should be."""

    def is_group(self, config_path: str) -> bool:
        """Experiments are a group, though there may be none: else Hydra takes +experiment=x for a setting."""
        return config_path == EXPERIMENT or super().is_group(config_path)

    def list(self, config_path: str, results_filter: ObjectType | None) -> builtins.list[str]:
        found = super().list(config_path, results_filter)
        if config_path == "" and results_filter is not ObjectType.CONFIG:
            found = sorted({*found, SWEEPS})
        return found


def _is_setting(config_path: str) -> bool:
    return PurePosixPath(config_path).parts[:1] != (STUDY,)


class StructuredConfigSource(structured_config_source.StructuredConfigSource):  # Hydra knows it by this name
    """What is registered by code, without the sweepers that this project cannot use."""

    def list(self, config_path: str, results_filter: ObjectType | None) -> builtins.list[str]:
        found = super().list(config_path, results_filter)
        return [name for name in found if config_path != SWEEPER_GROUP or name == SWEEPER]


class SweepsSearchPath(SearchPathPlugin):
    """Puts ProjectSource in the place of conf/, for applications whose own folder that is."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        root, path = project_root(), search_path.get_path()
        for place, entry in enumerate(path):
            if entry.provider == "main" and entry.path.removeprefix("file://") == str(root / "conf"):
                path[place] = SearchPathElement("main", f"{ProjectSource.scheme()}://{root}")
                for source in (ProjectSource, FileConfigSource, StructuredConfigSource):
                    SourcesRegistry.instance().types[source.scheme()] = source


def _parsed(path: Path, text: str) -> DictConfig:
    try:
        config = OmegaConf.load(io.StringIO(text))
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError, OSError) as error:
        raise DamageError(f"{path}: not valid YAML ({fault_text(error)})") from None
    if not isinstance(config, DictConfig):
        raise DamageError(f"{path}: holds no settings")
    return config
