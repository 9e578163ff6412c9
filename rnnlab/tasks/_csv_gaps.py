"""Gaps in the times of a table, where rows are missing: no window runs across one."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from rnnlab.core.batch import Array

_WIDER = 1.5  # times the usual distance; months and quarters differ by less
_UNEVEN = 1 / 8  # of the distances are wider: nights and weekends without rows are usual then
_USUAL = 0.98  # of the distances of uneven times


class Gap(NamedTuple):
    """A gap: the first row after it, the usual distance of its series, and the distance that was found."""

    row: int
    usual: Any
    found: Any


def gaps_of(times: Array | None, series: Iterable[tuple[str, slice]]) -> tuple[Gap, ...]:
    """Return the gaps, in order: distances of more than 1.5 times the usual one, the median of the series.

    Where more than an eighth of the distances are that wide, as from Friday to Monday, the usual one is that which 98 %
    do not exceed.

    Example:
        >>> times = np.array([0.0, 1.0, 2.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0])
        >>> [(one.row, float(one.found)) for one in gaps_of(times, [("", slice(0, 10))])]
        [(3, 3.0)]
    """
    found: list[Gap] = []
    for _, rows in series if times is not None else ():
        distances = np.diff(times[rows]) if times is not None else np.empty(0)
        if len(distances) < 2:
            continue
        numbers = distances.astype(np.float64)
        usual = np.quantile(numbers, 0.5, method="lower")
        if (numbers > _WIDER * usual).mean() > _UNEVEN:
            usual = np.quantile(numbers, _USUAL, method="lower")
        one = distances[np.flatnonzero(numbers == usual)[0]]
        wide = np.flatnonzero(numbers > _WIDER * usual)
        found += [Gap(int(rows.start + k + 1), one, distances[k]) for k in wide]
    return tuple(found)


def stretches(rows: Iterable[slice], gaps: Sequence[Gap]) -> tuple[slice, ...]:
    """Return rows cut at gaps.

    Example:
        >>> stretches([slice(0, 4), slice(4, 9)], [Gap(4, 1, 3), Gap(6, 1, 3)])
        (slice(0, 4, None), slice(4, 6, None), slice(6, 9, None))
    """
    found = []
    for one in rows:
        edges = [one.start, *(gap.row for gap in gaps if one.start < gap.row < one.stop), one.stop]
        found += [slice(first, end) for first, end in pairwise(edges)]
    return tuple(found)


def gaps_in_words(times: Array, gaps: Sequence[Gap], series: Iterable[tuple[str, slice]]) -> str:
    """Return how many gaps there are, where the first is and how wide."""
    row, usual, found = gaps[0]
    name = next(name for name, rows in series if rows.start <= row < rows.stop)
    of = f" of series {name}" if name else ""
    count = f"{len(gaps):,} gap{'s' * (len(gaps) > 1)} in the times"
    where = f"after {_shown(times[row - 1])}{of}: {_shown(found)} to the next row, usual are {_shown(usual)}"
    return f"{count}, the first {where}" if len(gaps) > 1 else f"{count}, {where}"


def _shown(value: Any) -> str:
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[s]")).replace("T", " ").removesuffix(" 00:00:00")
    if isinstance(value, np.timedelta64):
        seconds = value / np.timedelta64(1, "s")
        units = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))
        unit, size = next((one for one in units if seconds >= one[1]), units[-1])
        return f"{round(seconds / size, 2):g} {unit if seconds != size else unit[:-1]}"
    return f"{value:g}"
