"""Compare the analytic gradient of every parameter with central differences, in float64.

    python -m kls.gradcheck model=9layer_bn
    python -m kls.gradcheck model=3layer_bn model.bn.placement=after gradcheck.pictures=10

Prints a table with a row a parameter, writes it as gradients.csv with a box plot gradient_errors.png, and
exits with status 1 where an error is above the tolerance. How kinks of the ReLU and the step are handled
is told in kls/core/gradient_check.py. Dropout is left out; biases, gamma and beta get random values, so
that no gradient is special.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from kls.config.entry_point import reporting
from kls.config.hydra_entry import run_hydra
from kls.config.settings import GradcheckSettings, Settings
from kls.config.validation import validate, validate_group
from kls.errors import UserError

log = logging.getLogger("kls")


def task(config: DictConfig) -> float:
    """Check one network; gives the largest relative error, and exits with status 1 above the tolerance."""
    from tabulate import tabulate

    from kls.config.model_name import network_name
    from kls.plots.gradient_errors import plot_gradient_errors
    from kls.records.checked import write_csv
    from kls.training.gradient_table import check, table

    folder = Path(HydraConfig.get().runtime.output_dir)
    container = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(container, dict)
    settings, options = settings_of({str(key): value for key, value in container.items()})
    pairs = check(settings, options)
    rows = table(pairs, options.eps)
    write_csv(folder / "gradients.csv", rows)
    title = f"Gradients of {network_name(settings)}: {options.pictures} pictures, {options.dimensions} dimensions"
    errors = {name: pair.errors(options.eps).ravel() for name, pair in pairs.items()}
    plot_gradient_errors(errors, folder / "gradient_errors.png", title, tolerance=options.tolerance)
    log.info(title)
    log.info(tabulate(rows, headers="keys", floatfmt=("", "", ".1e", ".1e", ".6g", ".6g", ".1e", "")))
    largest = max(row["largest_error"] for row in rows)
    verdict = "within" if largest <= options.tolerance else "ABOVE"
    log.info("largest error %.1e, %s the tolerance of %.0e; folder %s", largest, verdict, options.tolerance, folder)
    if largest > options.tolerance or any(row["on_a_kink"] for row in rows):
        sys.exit(1)
    return float(largest)


def settings_of(content: dict[str, Any]) -> tuple[Settings, GradcheckSettings]:
    """The validated settings of a resolved configuration. Raises UserError."""
    rest = {key: value for key, value in content.items() if key != "gradcheck"}
    options = validate_group(GradcheckSettings, content.get("gradcheck"), "gradcheck")
    settings = validate(rest)
    if settings.resume is not None:
        raise UserError(f"resume={settings.resume}: a gradient check is made anew")
    return settings, options


def main() -> None:
    """Entry point of ``python -m kls.gradcheck``."""
    reporting(lambda: run_hydra(task, "gradcheck", sys.argv[1:], __doc__ or "", settings_of))


if __name__ == "__main__":
    main()
