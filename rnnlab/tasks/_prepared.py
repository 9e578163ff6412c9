"""A table cut into parts for training, validation and test, each series for itself, and scaled by its training part."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import final

import numpy as np

from rnnlab.core.batch import Array
from rnnlab.core.errors import UsageError
from rnnlab.core.scaling import Scale, Scaling, scaling_fault
from rnnlab.tasks._csv_gaps import gaps_in_words, stretches
from rnnlab.tasks._csv_table import Table
from rnnlab.tasks.base import Part

PARTS: tuple[Part, ...] = ("train", "validation", "test")
Rows = tuple[slice, ...]  # of each series
_MOST_SCALES = 10_000  # they are stored with the weights
_LARGEST = 1e150  # its square is finite


@final
@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A table, scaled and cut; computed once per process for a table, and shared."""

    table: Table  # as read
    scaling: Scaling  # of each series
    values: Array  # (rows, I), scaled
    parts: dict[Part, Rows]  # the rows of each series, by part
    stretches: dict[Part, Rows]  # the same, cut at gaps


@lru_cache(maxsize=4)
def prepare(table: Table, path: Path, train_fraction: float, horizon: int, scaling: Scaling | None) -> Prepared:
    """Return the table of a file, scaled and cut into parts.

    Of each series `train_fraction` is for training, half of the rest for validation; each part must have more rows than
    `horizon`. The scaling is that of a network, or that of the training part.

    Raises:
        UsageError: A series is too short, or the rows between gaps are; its target never changes; or the scaling is of
            other columns or series.
    """
    parts = cut(table, train_fraction)
    sizes = [[rows.stop - rows.start for rows in found] for found in zip(*parts.values(), strict=True)]
    if short := [(name, size) for (name, _), size in zip(table.series, sizes, strict=True) if min(size) <= horizon]:
        raise _too_short(short, path, horizon)
    whole = {part: stretches(rows, table.gaps) for part, rows in parts.items()}
    for part, found in whole.items():
        longest = max(one.stop - one.start for one in found)
        if longest <= horizon and table.times is not None:
            problem = f"{gaps_in_words(table.times, table.gaps, table.series)}: no more than {longest:,} rows in a row"
            hint = "fill the missing rows, or leave `csv.time` out for windows that run across gaps"
            raise UsageError(f"{problem} for {part}, expected at least {horizon + 1}", where=str(path), hint=hint)
    order: Sequence[int] = range(len(table.series))
    if scaling is None:
        scaling = _scaling(table, parts["train"], path)
    else:
        order = places(scaling, table, path)
    values = np.empty_like(table.values)
    for place, (_, rows) in zip(order, table.series, strict=True):
        values[rows] = scaling.inputs.scaled(table.values[rows], place)
    values.setflags(write=False)
    return Prepared(table, scaling, values, parts, whole)


def cut(table: Table, train_fraction: float) -> dict[Part, Rows]:
    """Return the rows of each series by part: the first are for training, half of the rest for validation."""
    parts: dict[Part, list[slice]] = {part: [] for part in PARTS}
    for _, rows in table.series:
        count = rows.stop - rows.start
        train = int(count * train_fraction)
        middle = train + (count - train + 1) // 2
        edges = [rows.start, rows.start + train, rows.start + middle, rows.stop]
        for part, first, end in zip(PARTS, edges, edges[1:], strict=False):
            parts[part].append(slice(first, end))
    return {part: tuple(found) for part, found in parts.items()}


def places(scaling: Scaling, table: Table, path: Path) -> Sequence[int]:
    """Return which of the series of a network's scaling each series of a table is.

    Raises:
        UsageError: The network was trained on other columns, or not on such a series.
    """
    if fault := scaling_fault(scaling, table.names, table.names[table.target]):
        raise UsageError(fault, where=str(path), hint="give the same columns, and the same `target` and `ignore`")
    if len(scaling.series) == len(table.series) == 1:
        return [0]
    for name, _ in table.series:
        if name not in scaling.series:
            known = f"{', '.join(scaling.series[:5])}{', …' if len(scaling.series) > 5 else ''}"
            problem = f"the network has no scale for the series {name!r}" if name else "the file has no series"
            raise UsageError(
                problem, where=str(path), hint=f"it was trained on {known}; name their column by `csv.group`"
            )
    return [scaling.series.index(name) for name, _ in table.series]


def _scaling(table: Table, train: Rows, path: Path) -> Scaling:
    if table.values.shape[1] * len(train) > _MOST_SCALES:
        count = f"{len(train):,} series of {table.values.shape[1]:,} columns"
        problem = f"{count}, each with a scale, expected at most {_MOST_SCALES:,} together"
        raise UsageError(problem, where=str(path), hint="leave columns out by `ignore`")
    if np.abs(table.values).max() > _LARGEST:
        raise UsageError(f"a number is beyond {_LARGEST:g}", where=str(path), hint="correct it, or give another unit")
    mean = np.array([table.values[rows].mean(axis=0) for rows in train])
    deviation = np.array([table.values[rows].std(axis=0) for rows in train])
    constant = np.array([np.ptp(table.values[rows], axis=0) == 0 for rows in train])
    if (still := np.flatnonzero(constant[:, table.target])).size:
        name, rows = table.series[still[0]][0], train[still[0]].stop - train[still[0]].start
        of = f" of the series {name}" + (f" and {still.size - 1} more" if still.size > 1 else "") if name else ""
        problem = f"the target, {table.names[table.target]}, never changes in the {rows:,} training rows{of}"
        raise UsageError(
            problem, where=str(path), hint="choose another `target`" if not name else "leave the series out"
        )
    # By rounding the deviation may be a little more, and the mean a little off the one value.
    mean[constant] = np.array([table.values[rows.start] for rows in train])[constant]
    deviation[constant] = 0.0
    inputs = Scale(table.names, mean, deviation)
    column = slice(table.target, table.target + 1)
    outputs = Scale(inputs.names[column], mean[:, column], deviation[:, column])
    return Scaling(tuple(name for name, _ in table.series), inputs, outputs)


def _too_short(short: list[tuple[str, list[int]]], path: Path, horizon: int) -> UsageError:
    name, (train, validation, test) = short[0]
    of = f"series {name}: " if name else ""
    more = f" ({len(short):,} series are too short)" if len(short) > 1 else ""
    rows = train + validation + test
    parts = f"{of}{rows:,} rows make {train:,} for training, {validation:,} for validation, {test:,} for a test"
    hint = "give more rows, a smaller `horizon` or another `train_fraction`"
    return UsageError(f"{parts}, but each part needs at least {horizon + 1}{more}", where=str(path), hint=hint)
