"""Looks at a composed configuration before Hydra makes or writes anything, and takes back what a failed run left.

Hydra makes a run's folder, its log and its records before it calls the task. Its callbacks would come earlier, but they
are settings themselves, which a command line can drop; so ``Checks`` takes the place of what calls them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal import hydra as hydra_application
from hydra._internal.callbacks import Callbacks
from omegaconf import DictConfig, OmegaConf

from kls.config import new_folder
from kls.config.flat_settings import OF_SWEEPS
from kls.config.storage_setting import refuse_in_files
from kls.config.targets import check_targets
from kls.errors import UserError
from kls.records import names
from kls.records.folders import refuse_used

Check = Callable[[dict[str, Any]], object]

RUN = (*names.FILES_OF_A_RUN, names.SNAPSHOT.format("*"), names.SWEEP, names.STUDY)
HYDRA_FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")


class SingleRun:
    """A run that is not a job of a sweep: its folder, and what this process has put there before the task began.

    Attributes:
        folder: of the run, from the moment that it may be written to.
        error: what the task raised.
        sweep: the configuration of a sweep, where it is one.
    """

    def __init__(self, check: Check, arguments: list[str]) -> None:
        self.folder: Path | None = None
        self.error: Exception | None = None
        self.sweep: DictConfig | None = None
        self._check, self._arguments = check, arguments
        self._written: list[Path] = []

    @property
    def results(self) -> Path | None:
        """The folder of the run or sweep; None where nothing was run."""
        if self.sweep is None or self.sweep.dry_run:
            return self.folder
        return Path(str(self.sweep.hydra.sweep.dir)).absolute()

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Context in which Hydra's application is checked."""
        own = vars(hydra_application)
        before = own["Callbacks"]
        own["Callbacks"] = partial(Checks, self)
        new_folder.MADE.clear()
        try:
            yield
        finally:
            own["Callbacks"] = before

    def begin(self, config: DictConfig) -> None:
        """Check the settings, then make the folder. Raises UserError where either is not possible."""
        sweep = config.hydra.runtime.choices.get("sweeps")
        if sweep is not None:
            command = shlex.join(["python", "-m", "kls.train", "--multirun", *self._arguments])
            raise UserError(f"sweeps={sweep}: a sweep is run with --multirun: {command}")
        for key in OF_SWEEPS:
            if any(override.startswith(f"{key}=") for override in self._arguments):
                raise UserError(f"{key}: is for sweeps, which are run with --multirun")
        settings = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        content = OmegaConf.to_container(settings, resolve=True, throw_on_missing=True)
        assert isinstance(content, dict)
        self._check({str(key): value for key, value in content.items()})
        folder = Path(str(config.hydra.run.dir))
        _refuse_a_used_one(folder, config)
        new_folder.make(folder)
        records = [] if config.hydra.output_subdir is None else [folder / config.hydra.output_subdir]
        files = [place / name for place in records for name in HYDRA_FILES]
        files += [folder / f"{config.hydra.job.name}.log", folder / names.LOCK]
        self._written = [path.absolute() for path in (*files, *records) if not path.exists()]
        self.folder = folder.absolute()

    def discard(self) -> None:
        """Take back what was made and written, unless the task has put a result there."""
        if self.folder is not None and any((self.folder / name).exists() for name in (names.CONFIG, names.GRADIENTS)):
            return
        for path in (*self._written, *reversed(new_folder.MADE)):
            with suppress(OSError):  # never written, or others have put something there
                path.rmdir() if path.is_dir() else path.unlink()


class Checks(Callbacks):
    """Hydra's callers of callbacks, preceded by the checks; what these raise ends the application."""

    def __init__(self, run: SingleRun, config: DictConfig) -> None:
        check_targets(config.hydra)
        refuse_in_files(config)
        super().__init__(config)
        self._run = run

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._run.begin(config)
        super().on_run_start(config, **kwargs)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if "gradcheck" in config:
            raise UserError("--multirun: a gradient check is of one network; run it once for each")
        self._run.sweep = config
        super().on_multirun_start(config, **kwargs)


def _refuse_a_used_one(folder: Path, config: DictConfig) -> None:
    """A folder that holds what a run writes, or records of Hydra; a gradient check may be made again as it was."""
    records = config.hydra.output_subdir or names.HYDRA
    written = list(RUN)
    if not ("gradcheck" in config and _same_overrides(folder / records, config)):
        written += [names.GRADIENTS, f"{config.hydra.job.name}.log", *(f"{records}/{name}" for name in HYDRA_FILES)]
    refuse_used(folder, written, "a run")


def _same_overrides(records: Path, config: DictConfig) -> bool:
    """Whether the records are of the same command line; a kill may have left them empty."""
    try:
        written = (records / HYDRA_FILES[-1]).read_text(encoding="utf-8")
    except OSError:
        written = ""
    return written in ("", OmegaConf.to_yaml(config.hydra.overrides.task))
