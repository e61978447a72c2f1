"""Where the project's own files lie."""

from __future__ import annotations

from pathlib import Path


def project_root() -> Path:
    """The folder that holds conf/ and sweeps/: the checkout, or the package where it is installed."""
    package = Path(__file__).resolve().parents[1]
    return package if (package / "conf").is_dir() else package.parent

