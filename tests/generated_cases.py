"""How many cases the property-based tests generate: a share of them, a fifth or what KLS_CASES says; 1 is all."""

from __future__ import annotations

import os

_SHARE = float(os.environ.get("KLS_CASES", "0.2"))


def share_of(n: int) -> int:
    return max(1, round(n * _SHARE))
