"""Hand runs to MLflow: settings, values at each evaluation, final scores and pictures, an MLflow run for each.

    python -m kls.export outputs/lambda_search --mlflow sqlite:///mlflow.db
    python -m kls.export outputs --mlflow http://localhost:5000 --experiment mine

Exported again, a run is not added twice; one that has gone on since is brought up to date. Experiments are named after
sweeps, "kls" has the runs that are part of none. To look: mlflow ui --backend-store-uri sqlite:///mlflow.db
"""

from __future__ import annotations

from collections import Counter

from tqdm import tqdm

from kls.config.entry_point import folder_path, parser, reporting
from kls.errors import UserError
from kls.records.escape import printable, shortened


def run() -> None:
    """The work of the entry point, with exceptions."""
    ask = parser("kls.export", __doc__ or "")
    ask.add_argument("paths", type=folder_path, nargs="+", metavar="PATH", help="folder with runs, at any depth")
    ask.add_argument("--mlflow", required=True, metavar="URI", help="sqlite:///FILE, or http(s)://SERVER")
    ask.add_argument("--experiment", help="name of the experiment (default: that of each run's sweep)")
    given = ask.parse_args()
    if given.experiment is not None and not (given.experiment.strip() and given.experiment.isprintable()):
        raise UserError(f"--experiment {shortened(given.experiment)!r}: give a name")

    from kls.analysis.runs import read_runs
    from kls.export.mlflow_store import Store
    from kls.export.runs import experiment_of, record_of

    store, runs = Store(given.mlflow), read_runs(given.paths)
    for warning in runs.warnings:
        print(printable(warning))
    counts, experiments = Counter[str](), set[str]()
    for row in tqdm(runs.frame.to_dict("records"), disable=None, unit=" runs"):
        experiment = given.experiment or experiment_of(runs, row)
        experiments.add(experiment)
        record = record_of(runs, row, lambda line: tqdm.write(printable(line)))
        counts[store.put(experiment, record)] += 1
    said = ", ".join(f"{n:,} {what}" for what, n in counts.items())
    print(printable(f"{said}; experiments: {', '.join(sorted(experiments))}"))


def main() -> None:
    """Entry point of ``python -m kls.export``."""
    reporting(run)


if __name__ == "__main__":
    main()
