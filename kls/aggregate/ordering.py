"""The order of a table's rows: as --sort asks, else as the settings stand."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from kls.aggregate.columns import find_column
from kls.aggregate.varying import sort_key


class Ordering:
    """Sorts tables by a column, descending where its name follows a "-"; rows without a value come last."""

    def __init__(self, wish: str | None, columns: Sequence[str], stages: Sequence[str]) -> None:
        """``stages`` are those of the sweeps in their order. Raises UserError where ``wish`` is no column."""
        self._column = None if wish is None else find_column(wish.removeprefix("-"), columns)
        self._descending = wish is not None and wish.startswith("-")
        self._stages = {stage: place for place, stage in enumerate(stages)}

    def runs(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Runs, in the order given where there is no wish."""
        return frame if self._column is None else self._sorted(frame, self._column)

    def groups(self, groups: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
        """Groups, by the means of the column if it is a score; by ``keys`` where there is no wish that applies."""
        for column in (self._column, f"{self._column}_mean"):
            if column in groups:
                return self._sorted(groups, str(column))
        rows = groups[list(keys)].itertuples(name=None)
        return groups.loc[[row[0] for row in sorted(rows, key=lambda row: self._places(keys, row[1:]))]]

    def _sorted(self, frame: pd.DataFrame, column: str) -> pd.DataFrame:
        present = frame[frame[column].notna()]
        values = dict(zip(present.index, map(sort_key, present[column]), strict=True))
        labels = sorted(present.index, key=values.__getitem__, reverse=self._descending)
        return frame.loc[[*labels, *frame.index[frame[column].isna()]]]

    def _places(self, keys: Sequence[str], row: Sequence[object]) -> list[object]:
        return [
            self._stages.get(str(value), len(self._stages)) if key == "stage" else sort_key(value)
            for key, value in zip(keys, row, strict=True)
        ]
