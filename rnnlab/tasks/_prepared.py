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
from rnnlab.tasks._csv_table import Table
from rnnlab.tasks.base import Part

PARTS: tuple[Part, ...] = ("train", "validation", "test")
Rows = tuple[slice, ...]  # of each series


@final
@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A table, scaled and cut; computed once per process for a table, and shared.

    Attributes:
        table: As read.
        scaling: Of each series.
        values: (rows, I), scaled.
        parts: The rows of each series, by part.
    """

    table: Table
    scaling: Scaling
    values: Array
    parts: dict[Part, Rows]


@lru_cache(maxsize=4)
def prepare(table: Table, path: Path, train_fraction: float, horizon: int, scaling: Scaling | None) -> Prepared:
    """Return a table, scaled and cut into parts.

    Args:
        table: As read.
        path: Of the file, for messages.
        train_fraction: Share of each series for training; half of the rest is for validation.
        horizon: Each part must have more rows.
        scaling: That of a network; left out, that of the training part.

    Raises:
        UsageError: A series is too short, its target never changes, or the scaling is of other columns or series.
    """
    parts: dict[Part, list[slice]] = {part: [] for part in PARTS}
    short = []
    for name, rows in table.series:
        count = rows.stop - rows.start
        cut = int(count * train_fraction)
        middle = cut + (count - cut + 1) // 2
        edges = [rows.start, rows.start + cut, rows.start + middle, rows.stop]
        for part, first, end in zip(PARTS, edges, edges[1:], strict=False):
            parts[part].append(slice(first, end))
        if min(cut, count - middle) < horizon + 1:
            short.append((name, count, cut, middle))
    if short:
        raise _too_short(short, path, horizon)
    order: Sequence[int] = range(len(table.series))
    if scaling is None:
        scaling = _scaling(table, parts["train"], path)
    elif fault := scaling_fault(scaling, table.names, table.names[table.target]):
        raise UsageError(fault, where=str(path), hint="give the same columns, and the same `target` and `ignore`")
    elif max(len(scaling.series), len(table.series)) > 1:
        order = _places(scaling, table, path)
    values = np.empty_like(table.values)
    for place, (_, rows) in zip(order, table.series, strict=True):
        values[rows] = scaling.inputs.scaled(table.values[rows], place)
    values.setflags(write=False)
    return Prepared(table, scaling, values, {part: tuple(rows) for part, rows in parts.items()})


def _places(scaling: Scaling, table: Table, path: Path) -> list[int]:
    """Return which of the series of a scaling each series of the table is."""
    for name, _ in table.series:
        if name not in scaling.series:
            known = f"{', '.join(scaling.series[:5])}{', …' if len(scaling.series) > 5 else ''}"
            problem = f"the network has no scale for the series {name!r}" if name else "the file has no series"
            raise UsageError(
                problem, where=str(path), hint=f"it was trained on {known}; name their column by `csv.group`"
            )
    return [scaling.series.index(name) for name, _ in table.series]


def _scaling(table: Table, train: list[slice], path: Path) -> Scaling:
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


def _too_short(short: list[tuple[str, int, int, int]], path: Path, horizon: int) -> UsageError:
    name, rows, cut, middle = short[0]
    of = f"series {name}: " if name else ""
    more = f" ({len(short):,} series are too short)" if len(short) > 1 else ""
    parts = (
        f"{of}{rows:,} rows make {cut:,} for training, {middle - cut:,} for validation, {rows - middle:,} for a test"
    )
    hint = "give more rows, a smaller `horizon` or another `train_fraction`"
    return UsageError(f"{parts}, but each part needs at least {horizon + 1}{more}", where=str(path), hint=hint)
