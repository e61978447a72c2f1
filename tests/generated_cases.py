"""How many cases the property-based tests generate: a fifth of them here, all where KLS_CASES=all, as in CI."""

from __future__ import annotations

import os

_SHARE = 1.0 if os.environ.get("KLS_CASES") == "all" else 0.2


def share_of(n: int) -> int:
    return max(1, round(n * _SHARE))
