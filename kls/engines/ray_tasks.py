"""Trains populations in tasks of a Ray cluster, or of a Ray that is started on this machine."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from joblib import cpu_count

from kls.engines.tasks import STOP_SECONDS, Errors, LostError, Population, train_together
from kls.errors import UserError
from kls.training.stop_signal import SIGNALS, Stopped, StopSignal

# Of a cluster that does not answer; by default Ray tries for a quarter of an hour.
_CONNECTION = {
    "RAY_gcs_rpc_server_connect_timeout_s": "2",
    "RAY_py_gcs_connect_timeout_s": "5",
    "RAY_NUM_REDIS_GET_RETRIES": "1",
}
# Nothing is reported to Ray's makers, and `uv run` sends no working directory to the workers.
_ALWAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class _Task:
    """A population, and the reference to its result once Ray has been asked for it."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self.reference: Any = None


class RayTasks:
    """The engine of a Ray cluster, which every machine's kls and a shared disk are needed for.

    slots: tasks at once; -1 for as many as the cluster has room for. timeout: see `Engine`. cores, memory in GiB: of
    each task, for Ray's scheduler. address: of the cluster, as "auto", host:port or ray://host:port; None starts a Ray
    of this machine's own. Ray goes on until this process ends. Raises UserError where Ray is missing, does not answer,
    or has no machine for such tasks.
    """

    def __init__(self, slots: int, timeout: float, cores: int, memory: float | None, address: str | None) -> None:
        needs = {"CPU": float(cores)} | ({} if memory is None else {"memory": memory * 2**30})
        _connect(address)
        import ray

        room = sum(_room(node["Resources"], needs) for node in ray.nodes() if node["Alive"])
        if not room:
            each = f"hydra.launcher.cores={cores}" + ("" if memory is None else f" and memory={memory:g} (GiB)")
            raise UserError(f"{each}: no machine of the Ray cluster has so much")
        self.slots, self.timeout = room if slots == -1 else slots, timeout
        self._most = float("inf") if slots == -1 else slots  # Ray itself knows of machines that come later
        self._waiting: deque[_Task] = deque()
        self._running: dict[Any, _Task] = {}
        self._remote = ray.remote(_train).options(
            num_cpus=cores,
            memory=needs.get("memory"),
            max_retries=0,
            name="kls",
            runtime_env={"env_vars": _forwarded()} if address is not None and _forwarded() else None,
        )

    def submit(self, populations: Sequence[Population]) -> list[_Task]:
        tasks = [_Task(population) for population in populations]
        self._waiting.extend(tasks)
        self._start()
        return tasks

    def wait(self, tasks: Collection[_Task], seconds: float) -> Collection[_Task]:
        import ray

        running = list(self._running)
        with StopSignal() as stop:  # of an exception within ray.wait Ray would make another
            ended = ray.wait(running, timeout=seconds)[0]
            if ended:
                ended = ray.wait(running, num_returns=len(running), timeout=0)[0]
        if stop.wanted is not None:
            raise Stopped(stop.wanted)
        found = [self._running.pop(reference) for reference in ended]
        self._start()
        return found

    def result(self, task: _Task) -> Errors:
        """Raises UserError where the workers are not as they should be, as without kls."""
        import ray
        from ray import exceptions

        try:
            return ray.get(task.reference)
        except exceptions.TaskCancelledError as error:  # by `kill`, or by a signal to the worker
            raise LostError("its process was stopped") from error
        except (exceptions.RayTaskError, exceptions.RuntimeEnvSetupError) as error:
            cause = getattr(error, "cause", None) or error
            if isinstance(cause, LostError):
                raise cause from None
            raise UserError(f"hydra.launcher.engine=ray: {_line(cause)}") from error
        except exceptions.RayError as error:
            raise LostError(type(error).__name__) from error

    def kill(self, task: _Task) -> None:
        import ray

        if task.reference is not None:
            ray.cancel(task.reference, force=True, recursive=False)

    def stop(self, tasks: Collection[_Task]) -> None:
        """Ray sends SIGINT to those that run."""
        import ray

        self._waiting.clear()
        running = list(self._running)
        for reference in running:
            ray.cancel(reference, force=False, recursive=False)
        left = ray.wait(running, num_returns=len(running), timeout=STOP_SECONDS)[1] if running else []
        for reference in left:
            ray.cancel(reference, force=True, recursive=False)
        self._running.clear()

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._most:
            task = self._waiting.popleft()
            task.reference = self._remote.remote(str(Path.cwd()), task.population, self.timeout)
            self._running[task.reference] = task


def _train(working_directory: str, population: Population, timeout: float) -> Errors:
    """What a worker does; relative paths of the settings mean the same there."""
    os.chdir(working_directory)
    return train_together(population, timeout)


def _connect(address: str | None) -> None:
    if find_spec("ray") is None:
        raise UserError('hydra.launcher.engine=ray needs Ray: pip install "kls[ray]"')
    for name, value in (_ALWAYS | (_CONNECTION if address is not None else {})).items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        return
    try:
        with _signals_kept(), _silent():
            options = {"num_cpus": cpu_count(), "include_dashboard": False} if address is None else {}
            ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **options)
        ray._private.worker._worker_logs_enabled = False  # of pages that it prints of a node that has died
    except Exception as error:
        where = f"hydra.launcher.address={address}" if address is not None else "hydra.launcher.engine=ray"
        refused = "no Ray cluster answers there, or it asks for a token (RAY_AUTH_MODE=token, RAY_AUTH_TOKEN)"
        said = refused if isinstance(error, ConnectionError) else _line(error)
        raise UserError(f"{where}: {said}") from error


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself."""
    ours = SIGNALS if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.getsignal(number) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _silent() -> Iterator[None]:
    """Without what Ray's own threads write to stderr while it connects; its mistakes come as exceptions."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _room(resources: dict[str, float], needs: dict[str, float]) -> int:
    """How many tasks a machine has room for."""
    return int(min(resources.get(name, 0.0) // amount for name, amount in needs.items()))


def _forwarded() -> dict[str, str]:
    """What of this process's environment the workers of another machine's Ray need."""
    return {name: os.environ[name] for name in ("PYTHONPATH", "KLS_BLAS_KERNELS") if name in os.environ}


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
