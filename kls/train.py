"""Train a network, or with --multirun a sweep of networks.

    python -m kls.train                                    3-layer batch-norm net, embedded data
    python -m kls.train model=9layer_bn data=cifar10       another network, the real pictures
    python -m kls.train resume=outputs/...                 go on with a run that was stopped
"""

from __future__ import annotations

import sys

from kls.config.entry_point import reporting
from kls.sweep.training_command import run_training


def run() -> None:
    """The work of the console script, with exceptions."""
    run_training(sys.argv[1:], __doc__ or "")


def main() -> None:
    """Console script ``kls-train``."""
    reporting(run)


if __name__ == "__main__":
    main()
