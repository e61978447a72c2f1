"""MLflow as a place for runs: one MLflow run for each, found again by a key, so that nothing is there twice."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from kls.errors import UserError
from kls.records.escape import without_credentials

KEY, STATE = "kls.key", "kls.state"  # tags: which run it is, and what of it is there

_MOST_ENTITIES, _MOST_PARAMS, _LONGEST = 1000, 100, 500  # of a request; characters of a parameter or tag
_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Record:
    """A run as MLflow takes it.

    key: the same whenever the run is exported. state: changes when there is more of it. started, ended: milliseconds
    since 1970. metrics: gives (name, value, step) of each, if it is asked. pictures: files.
    """

    key: str
    state: str
    name: str
    status: str
    started: int
    ended: int | None
    params: dict[str, str]
    tags: dict[str, str]
    metrics: Callable[[], Sequence[tuple[str, float, int]]]
    pictures: Sequence[Path]


class Store:
    """The experiments behind a URI, sqlite:///FILE or that of a server."""

    def __init__(self, uri: str) -> None:
        """Raises UserError if MLflow is not installed, or the URI is of another kind."""
        if not re.match(rf"{_SQLITE}.|https?://.", uri):
            raise UserError(f"--mlflow {without_credentials(uri)}: give {_SQLITE}FILE, or http(s)://SERVER")
        if find_spec("mlflow") is None:
            raise UserError("--mlflow: MLflow is not installed; pip install 'kls[mlflow]' does it")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # some 15 s; its own 7 are four minutes
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # it would print the password in it
        self._artifacts: str | None = None
        if uri.startswith(_SQLITE):
            file = Path(uri.removeprefix(_SQLITE)).absolute()
            uri, self._artifacts = f"{_SQLITE}{file}", file.with_name(f"{file.stem}_artifacts").as_uri()
        self._uri, self._known = uri, dict[str, tuple[str, dict[str, tuple[str, str]]]]()
        with self._told():
            from mlflow import MlflowClient

            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.WARNING)
            self._client = MlflowClient(tracking_uri=uri)

    def put(self, experiment: str, record: Record) -> str:
        """Add a run to an experiment, or bring it up to date: "added", "updated" or "there already".

        Raises UserError in one line, without a password, for whatever MLflow raises.
        """
        with self._told():
            found = self._runs_of(experiment)
            run_id, state = found[1].get(record.key, ("", ""))
            if state == record.state:
                return "there already"
            if not run_id:
                tags = {KEY: record.key, "mlflow.runName": record.name, "mlflow.source.name": "kls"}
                run = self._client.create_run(found[0], start_time=record.started, tags=tags)
                run_id = run.info.run_id
            self._fill(run_id, record)
            found[1][record.key] = run_id, record.state
            return "updated" if state else "added"

    def _runs_of(self, experiment: str) -> tuple[str, dict[str, tuple[str, str]]]:
        """The id of an experiment, made if there is none, and of each run by its key its id and state."""
        if experiment in self._known:
            return self._known[experiment]
        there = self._client.get_experiment_by_name(experiment)
        if there is None:
            folder = re.sub("[^A-Za-z0-9_-]", "_", experiment)
            place = None if self._artifacts is None else f"{self._artifacts}/{folder}"
            number = self._client.create_experiment(experiment, artifact_location=place)
        elif there.lifecycle_stage != "active":
            raise UserError(f"--mlflow: experiment {experiment} was deleted there; restore it, or give --experiment")
        else:
            number = there.experiment_id
        known, token = dict[str, tuple[str, str]](), None
        while True:
            page = self._client.search_runs([number], max_results=1000, page_token=token)
            for run in page:
                tags = run.data.tags
                if KEY in tags:
                    known[tags[KEY]] = run.info.run_id, tags.get(STATE, "")
            token = page.token
            if not token:
                break
        self._known[experiment] = number, known
        return self._known[experiment]

    def _fill(self, run_id: str, record: Record) -> None:
        """All of a run; the same again changes nothing. The state comes last: it says that the rest is there."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(name, value, record.started, step) for name, value, step in record.metrics()]
        params = [Param(name, value[:_LONGEST]) for name, value in record.params.items()]
        while metrics or params:
            n = _MOST_ENTITIES - len(params[:_MOST_PARAMS])
            self._client.log_batch(run_id, metrics=metrics[:n], params=params[:_MOST_PARAMS])
            metrics, params = metrics[n:], params[_MOST_PARAMS:]
        for picture in record.pictures:
            self._client.log_artifact(run_id, str(picture))
        if record.status == "RUNNING":
            self._client.update_run(run_id, status=record.status)
        else:
            self._client.set_terminated(run_id, record.status, record.ended)
        tags = [RunTag(name, value[:_LONGEST]) for name, value in (*record.tags.items(), (STATE, record.state))]
        self._client.log_batch(run_id, tags=tags)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # of MLflow, SQLAlchemy and requests, which quote the URI
            said = " ".join(str(error).split())[:300] or type(error).__name__
            raise UserError(f"--mlflow {without_credentials(self._uri)}: {without_credentials(said)}") from None
