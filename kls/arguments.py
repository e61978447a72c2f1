"""The type of argument that commands on folders share, for argparse, which tells a mistake in a line."""

from __future__ import annotations

import argparse
from pathlib import Path

from kls.escape import shortened


def folder_path(text: str) -> Path:
    """The path of a folder to read or to write to, that may be there or not."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("give a folder")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{shortened(text)}: its name must be UTF-8") from None
    return Path(text)
