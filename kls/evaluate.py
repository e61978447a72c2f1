"""Evaluate a trained run: accuracy of every split, of every class, and a confusion matrix.

    python -m kls.evaluate outputs/2026-11-20/12-00-00
    python -m kls.evaluate FOLDER --statistics adaptive --share 0.5 --flip 0.5 --translate 1 --reach 4

Writes evaluation.json and confusion.png into the run's folder; with options, their names say which. The data are read
from --data-root and --data-path, not from where the run says that they were.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kls.config.entry_point import parser, reporting
from kls.errors import UserError

DEFAULTS = {"flip": 0.5, "translate": 1.0, "reach": 4}


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    ask = parser("kls.evaluate", __doc__ or "")
    ask.add_argument("folder", type=Path, help="folder of a run")
    ask.add_argument("--checkpoint", choices=["last", "best"], default="last", help="which network (default: last)")
    ask.add_argument(
        "--statistics", choices=["ema", "precise", "adaptive"], help="of batch norm (default: as the run was made)"
    )
    ask.add_argument(
        "--share", type=float, help="share of the test pictures to augment, 0 to 1 (default: as the run was made)"
    )
    ask.add_argument("--flip", type=float, help="with --share: probability of a mirror image (default: 0.5)")
    ask.add_argument("--translate", type=float, help="with --share: probability of a shift (default: 1)")
    ask.add_argument("--reach", type=int, help="with --share: largest shift in pixels (default: 4)")
    ask.add_argument("--data-root", help="folder of the data files (default: $KLS_DATA or ~/.cache/kls)")
    ask.add_argument("--data-path", help="file of the examples, of a run on data=arrays")
    ask.add_argument("--threads", type=int, default=1, help="BLAS threads (default: 1)")
    return ask.parse_args(argv)


def run(argv: Sequence[str]) -> None:
    """The work of the entry point, with exceptions."""
    options = arguments(argv)

    from tabulate import tabulate
    from threadpoolctl import threadpool_limits

    from kls.config.model_name import network_name
    from kls.config.validation import validate
    from kls.data.dataset import default_root
    from kls.plots.heatmap import plot_confusion
    from kls.records.checked import write_json
    from kls.training.trained_network import load_data, load_network, load_settings, score_splits

    augmentation = _augmentation(options)
    settings = load_settings(options.folder)
    if options.statistics and not settings.model.bn.enabled:
        raise UserError(f"--statistics {options.statistics}: the run in {options.folder} has no batch norm")
    config = settings.model_dump() | {"threads": options.threads}
    if augmentation:
        config["data"]["test_augmentation"] = augmentation
    settings = validate(config)
    augmented = settings.data.test_augmentation.model_dump()
    with threadpool_limits(settings.threads):
        root = default_root() if options.data_root is None else options.data_root
        data = load_data(options.folder, settings, root, options.data_path)
        checkpoint = f"{options.checkpoint}.npz"
        network = load_network(options.folder, checkpoint, settings, data.inputs, options.statistics, data)
        report, matrix = score_splits(network, settings, data)
    statistics = network.architecture.bn_statistics if settings.model.bn.enabled else "none"
    report |= {"checkpoint": options.checkpoint, "statistics": statistics, "test_augmentation": augmented}
    print(f"{network_name(settings)}, {options.checkpoint} checkpoint, batch-norm statistics: {statistics}")
    print(f"data set {data.name}, fingerprint {data.fingerprint}, one seed ({settings.seed})")
    if augmented["share"]:
        print(f"{augmented['share']:.0%} of the test pictures augmented: {_augmentation_text(augmented)}")
    print(tabulate(_rows(report["splits"]), headers=["split", "pictures", "accuracy", "loss", "cost"]))
    classes = [(name, "-" if share is None else f"{share:.2%}") for name, share in report["class_accuracy"].items()]
    print(tabulate(classes, headers=["test class", "accuracy"], colalign=("left", "right")))
    name = _name(options, augmentation)
    written = options.folder / f"evaluation{name}.json", options.folder / f"confusion{name}.png"
    write_json(written[0], report)
    title = f"{network_name(settings)} on the test {settings.data.known.kind} of {data.name}"
    plot_confusion(matrix, data.class_names, written[1], title)
    print(f"written: {written[0]}, {written[1]}")


def _augmentation(options: argparse.Namespace) -> dict[str, float]:
    """Settings of the test pictures' augmentation, empty where the run's own stand."""
    given = {key: getattr(options, key) for key in DEFAULTS if getattr(options, key) is not None}
    if options.share is not None:
        return {"share": options.share, **DEFAULTS, **given}
    if given:
        flags = ", ".join(f"--{key}" for key in given)
        raise UserError(f"{flags}: give --share too, the share of the test pictures to augment")
    return {}


def _rows(splits: dict[str, Any]) -> list[tuple[str, int, str, str, str]]:
    return [
        (name, s["pictures"], f"{s['accuracy']:.2%}", f"{s['loss']:.4f}", f"{s['cost']:.4f}")
        for name, s in splits.items()
    ]


def _name(options: argparse.Namespace, augmentation: dict[str, float]) -> str:
    """What the options add to the names of files: evaluations that differ have different ones."""
    parts = ["" if options.checkpoint == "last" else options.checkpoint, options.statistics or ""]
    if augmentation:
        parts.append("augmented-" + "-".join(f"{k}-{v}".removesuffix(".0") for k, v in augmentation.items()))
    return "".join(f"-{part}" for part in parts if part)


def _augmentation_text(augmented: dict[str, float]) -> str:
    return f"flip {augmented['flip']:g}, translate {augmented['translate']:g} by up to {augmented['reach']} pixels"


def main() -> None:
    """Entry point of ``python -m kls.evaluate``."""
    reporting(lambda: run(sys.argv[1:]))


if __name__ == "__main__":
    main()
