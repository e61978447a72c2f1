"""Ten thousand runs are aggregated in less than 20 seconds and 1 GB."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from made_up_runs import make_run

N_RUNS, N_SEEDS = 10_000, 5

_MEASURED = """
import json, resource, sys, time
from kls.aggregate.__main__ import run
start = time.perf_counter()
run(sys.argv[1:])
seconds = time.perf_counter() - start
kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "bytes": kilobytes * (1 if sys.platform == "darwin" else 1024)}))
"""


@pytest.mark.slow
def test_ten_thousand_runs(tmp_path: Path) -> None:
    template = make_run(tmp_path / "template", 0.5, model="3layer_bn", history=20)
    config = yaml.safe_load((template / "config.yaml").read_text())
    metrics = json.loads((template / "metrics.json").read_text())
    files = {name: (template / name).read_bytes() for name in (".hydra/hydra.yaml", "history.csv")}
    for i in range(N_RUNS):
        folder = tmp_path / "runs" / str(i // N_SEEDS) / str(i % N_SEEDS)
        (folder / ".hydra").mkdir(parents=True)
        config |= {"lam": 1e-5 * (1 + i // N_SEEDS), "seed": i % N_SEEDS, "order_seed": i % N_SEEDS}
        metrics["val_accuracy"] = 0.5 - (i // N_SEEDS) * 1e-5 + (i % N_SEEDS) * 1e-3
        (folder / "config.yaml").write_text(yaml.dump(config, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
        (folder / "metrics.json").write_text(json.dumps(metrics))
        for name, content in files.items():
            (folder / name).write_bytes(content)
    made = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(tmp_path / "runs")], capture_output=True, text=True, check=True
    )
    assert "10,000 runs: 10,000 finished." in made.stdout
    assert "Best 5 of 2,000 groups" in made.stdout
    assert " 1e-05 50.20 ± 0.16 (n=5) " in " ".join(made.stdout.split())
    usage = json.loads(made.stdout.splitlines()[-1])
    assert usage["seconds"] < 20.0
    assert usage["bytes"] < 1e9
