"""The benchmark's report: what is printed, and the four files that are left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kls.benchmark.measure import Effort
from kls.benchmark.picture import plot_benchmark
from kls.benchmark.table import CSV_COLUMNS, Measurement, csv_rows, drawn, table_rows
from kls.benchmark.task import BATCH_SIZE, N_PICTURES, STEPS_PER_EPOCH
from kls.records.atomic import write_csv, write_json, write_text

JSON, CSV, MARKDOWN, PICTURE = "bench.json", "bench.csv", "bench.md", "bench.png"
BUSY = 0.5


@dataclass(frozen=True)
class Report:
    """Everything that one benchmark has found. load: average of the last minute at its start, if known."""

    machine: dict[str, Any]
    peers: dict[str, str]
    load: float | None
    effort: Effort
    measurements: Sequence[Measurement]
    sweeps: Sequence[dict[str, Any]] = field(default=())
    sweep_plan: dict[str, Any] | None = None
    overheads: Sequence[dict[str, Any]] = field(default=())

    def text(self) -> str:
        """For a terminal."""
        return "\n\n".join("\n".join(part) for part in self._parts("simple"))

    def markdown(self) -> str:
        """For a page."""
        parts = ["\n\n".join(part) for part in self._parts("pipe")]
        return "\n\n".join(["# Benchmark", *parts, f"![the same as a picture]({PICTURE})"]) + "\n"

    def _parts(self, style: str) -> list[list[str]]:
        parts = [self.head(), [self.explanation(), drawn(table_rows(self.measurements), style)]]
        if self.sweeps and self.sweep_plan:
            parts.append([self.sweep_explanation(self.sweep_plan), drawn(self.sweeps, style)])
        if self.overheads:
            parts.append(["What a sweep costs a trial beside training, one process:", drawn(self.overheads, style)])
        return parts

    def head(self) -> list[str]:
        """Machine, versions, and a warning where the machine was busy."""
        m = self.machine
        versions = [f"kls {m['kls_version']}", f"Python {m['python_version']}", f"NumPy {m['numpy_version']}"]
        versions += [f"{name} {version}" for name, version in self.peers.items()]
        load = "unknown" if self.load is None else f"{self.load:.2f}"
        lines = [
            f"{m['cpu']}, {m['cores']} cores; {m['blas']}, {m['blas_kernels']} kernels; {m['platform']}",
            f"{', '.join(versions)}; load average at the start {load}",
        ]
        return lines + ([self.warning()] if self.busy else [])

    @property
    def busy(self) -> bool:
        """Whether other work took a part of the machine."""
        return self.load is not None and self.load > BUSY

    def warning(self) -> str:
        return f"warning: the machine was busy (load average {self.load:.2f}): the numbers are too high"

    def explanation(self) -> str:
        """What the table shows."""
        e = self.effort
        return (
            f"Seconds an epoch of training a member: {N_PICTURES:,} pictures in mini-batches of {BATCH_SIZE}, float32, "
            f"one core, no evaluation; best of {e.rounds} rounds of {e.steps} of {STEPS_PER_EPOCH} steps. "
            "floor: the matrix products alone."
        )

    def sweep_explanation(self, plan: dict[str, Any]) -> str:
        """What the sweeps were."""
        return (
            f"Wall time of a sweep of {len(plan['lams'])} values of lam, {plan['epochs']} epochs each, on "
            f"{plan['source']} pictures, with its evaluations; one thread a process:"
        )

    def write(self, folder: Path) -> None:
        """Leave bench.json, bench.csv, bench.md and bench.png in ``folder``."""
        rows = table_rows(self.measurements)
        write_json(
            folder / JSON,
            {
                "machine": self.machine,
                "peers": self.peers,
                "load_average": self.load,
                "busy": self.busy,
                "effort": asdict(self.effort),
                "table": rows,
                "measurements": [asdict(m) for m in self.measurements],
                "sweep_plan": self.sweep_plan,
                "sweeps": list(self.sweeps),
                "overheads": list(self.overheads),
            },
        )
        write_csv(folder / CSV, csv_rows(self.measurements), CSV_COLUMNS)
        write_text(folder / MARKDOWN, self.markdown())
        plot_benchmark(rows, self.overheads, folder / PICTURE, f"Training on {self.machine['cpu']}")
