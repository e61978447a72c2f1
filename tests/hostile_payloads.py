"""Folders of runs and sweeps as somebody hostile would send them: each payload would leave a mark if it had its way."""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import sqlite3
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from kls.records import names
from kls.records.checked import write_json, write_yaml

SECRET = "a-secret-of-the-environment"  # the value of HOSTILE_SECRET


@dataclass(frozen=True)
class Target:
    """What an attack aims at: a file that it would make, one that it would overwrite, and a folder to write to."""

    marker: Path
    victim: Path
    outside: Path

    @property
    def touch(self) -> str:
        return f"touch {self.marker}"


Payload = Callable[[Path, Target], None]


class _Runs:
    """Unpickling it runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def write_module(folder: Path, target: Target) -> None:
    """pay.py, which leaves the mark when it is imported."""
    (folder / "pay.py").write_text(
        f"open({str(target.marker)!r}, 'w').close()\n\n\nclass Run:\n    def __init__(self, *a, **k):\n        pass\n"
    )


def _plain_config(run: Path) -> dict[str, Any]:
    return yaml.safe_load((run / names.CONFIG).read_text(encoding="utf-8"))


def _set(config: dict[str, Any], key: str, value: Any) -> None:
    *groups, last = key.split(".")
    for group in groups:
        config = config.setdefault(group, {})
    config[last] = value


def overrides_yaml(*lines: str) -> Payload:
    def put(run: Path, target: Target) -> None:
        folder = run / names.HYDRA
        folder.mkdir(exist_ok=True)
        old = folder / "overrides.yaml"
        known = yaml.safe_load(old.read_text()) if old.is_file() else []
        old.write_text(yaml.safe_dump([*known, *(_aimed(line, target) for line in lines)]))

    return put


def _aimed(text: str, target: Target) -> str:
    for key, path in (("MARKER", target.marker), ("VICTIM", target.victim), ("OUTSIDE", target.outside)):
        text = text.replace(key, str(path))
    return text


def text_file(name: str, text: str) -> Payload:
    def put(folder: Path, target: Target) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(_aimed(text, target))

    return put


def bytes_file(name: str, make: Callable[[Target], bytes]) -> Payload:
    def put(folder: Path, target: Target) -> None:
        (folder / name).write_bytes(make(target))

    return put


def config_line(line: str) -> Payload:
    """A line of YAML in front of the run's own settings."""

    def put(run: Path, target: Target) -> None:
        path = run / names.CONFIG
        path.write_text(_aimed(line, target) + "\n" + yaml.safe_dump(_plain_config(run)))

    return put


def config_value(key: str, value: Any) -> Payload:
    """A setting of the run, with a checksum that fits."""

    def put(run: Path, target: Target) -> None:
        config = _plain_config(run)
        _set(config, key, _aimed(value, target) if isinstance(value, str) else value)
        write_yaml(run / names.CONFIG, config)

    return put


def sweep_overrides(*lines: Any) -> Payload:
    """Overrides of a sweep's record, with a checksum that fits."""

    def put(sweep: Path, target: Target) -> None:
        path = sweep / names.SWEEP
        content = json.loads(path.read_text())
        content.pop("checksum", None)
        own = [line for line in lines if not isinstance(line, str)]
        content["overrides"] = own[0] if own else content["overrides"] + [_aimed(line, target) for line in lines]
        write_json(path, content)

    return put


def sweep_stages(change: Callable[[dict[str, Any], Target], None]) -> Payload:
    """A change of every stage in a sweep's record, and of its definition."""

    def put(sweep: Path, target: Target) -> None:
        path = sweep / names.SWEEP
        content = json.loads(path.read_text())
        content.pop("checksum", None)
        for stage in [*content["stages"], *content["definition"]["stages"]]:
            change(stage, target)
        write_json(path, content)

    return put


def record(name: str, content: dict[str, Any]) -> Payload:
    """A JSON record with a checksum that fits."""

    def put(folder: Path, target: Target) -> None:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        write_json(folder / name, json.loads(_aimed(json.dumps(content), target)))

    return put


def link(name: str, to: str = "VICTIM") -> Payload:
    """A link in place of a file or a folder of the run."""

    def put(folder: Path, target: Target) -> None:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            path.rename(target.outside / f"was-{path.name}")
        else:
            path.unlink(missing_ok=True)
        path.parent.mkdir(exist_ok=True, parents=True)
        path.symlink_to(_aimed(to, target))

    return put


def pipe(name: str) -> Payload:
    """A named pipe that nobody writes to: who opens it waits for ever."""

    def put(folder: Path, target: Target) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return put


def pickled(target: Target) -> bytes:
    return pickle.dumps(_Runs(target.touch))


def npz_of_objects(target: Target) -> bytes:
    file = io.BytesIO()
    np.savez(file, W1=np.array([_Runs(target.touch)], dtype=object), step=np.array(1))
    return file.getvalue()


def npz(header: str, member: str = "W1.npy", body: bytes = b"") -> Callable[[Target], bytes]:
    """An archive with one member whose header is a text that Python might read."""

    def make(target: Target) -> bytes:
        text = _aimed(header, target).encode()
        text += b" " * (-(len(text) + 11) % 64) + b"\n"
        npy = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_aimed(member, target), npy)
            archive.writestr("step.npy", npy)
        return file.getvalue()

    return make


@functools.cache
def npz_bomb(target: Target) -> bytes:
    """A gigabyte of zeros in some megabytes."""
    file = io.BytesIO()
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**28},), }}".ljust(117) + "\n"
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("W1.npy", "w") as member,
    ):
        member.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
        for _ in range(2**6):
            member.write(bytes(2**24))
    return file.getvalue()


def database(statement: str) -> Payload:
    """A statement run on the sweep's database; where it is not there, on an empty one."""

    def put(sweep: Path, target: Target) -> None:
        with sqlite3.connect(sweep / names.STUDY) as connection:
            connection.executescript(_aimed(statement, target))
        connection.close()

    return put


def pickle_in_database(key: str) -> Payload:
    """A pickled payload as a system attribute of every study and trial, as Optuna's CMA-ES sampler stores its own."""

    def put(sweep: Path, target: Target) -> None:
        value = json.dumps(pickled(target).hex())
        with sqlite3.connect(sweep / names.STUDY) as connection:
            for table, ids in (("study", "studies"), ("trial", "trials")):
                connection.execute(
                    f"INSERT INTO {table}_system_attributes ({table}_id, key, value_json) "
                    f"SELECT {table}_id, ?, ? FROM {ids}",
                    (key, value),
                )
        connection.close()

    return put
