"""A sweep as a table: one key down, one across, a group in each cell."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, final

from rnnlab.comparison.groups import Group
from rnnlab.comparison.statistics import compare_matched, holm
from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest
from rnnlab.core.text import visible
from rnnlab.runs.run import Run

_FEWEST = 5  # groups that are worth a table nobody asked for


@final
@dataclass(frozen=True, slots=True)
class Overall:
    """Two columns of a pivot held against each other over all its rows.

    Attributes:
        one, other: The columns' values.
        pairs: Pairs of runs with equal row and seed.
        only_one, only_other: In how many of them just one solved the task.
        p: Of McNemar's exact test, corrected by Holm's method for all pairs of columns.
    """

    one: Any
    other: Any
    pairs: int
    only_one: int
    only_other: int
    p: float


@final
@dataclass(frozen=True)
class Pivot:
    """Groups in rows and columns.

    Attributes:
        by: The key whose values are the columns.
        over: The key whose values are the rows.
        columns, rows: The values, in order; None where the config lacks the key.
        cells: (row, column), by place -> the group; not all need be there.
        overall: Every pair of columns.
    """

    by: str
    over: str
    columns: tuple[Any, ...]
    rows: tuple[Any, ...]
    cells: Mapping[tuple[int, int], Group]
    overall: tuple[Overall, ...]

    @property
    def is_ascending(self) -> bool:
        """Whether the rows are numbers, so that one may tell up to which something holds."""
        return len(self.rows) > 1 and all(map(_is_number, self.rows))

    def column(self, place: int) -> list[Group | None]:
        """Return the groups of a column, from the first row to the last."""
        return [self.cells.get((row, place)) for row in range(len(self.rows))]

    def solved(self, place: int) -> tuple[int, int]:
        """Return how many runs of a column solved the task, of how many of which that is known."""
        groups = [group for group in self.column(place) if group]
        return sum(group.solved for group in groups), sum(len(group.decided) for group in groups)

    def solves_up_to(self, place: int) -> Any:
        """Return the last row up to which every run of a column solved the task, None where the first has failures."""
        last = None
        for row, group in zip(self.rows, self.column(place), strict=True):
            if group is None or not group.decided or group.solved < len(group.results):
                break
            last = row
        return last

    def solves_none_from(self, place: int) -> Any:
        """Return the first row from which on no run of a column solved the task, None where the last row has some."""
        first = None
        for row, group in reversed(list(zip(self.rows, self.column(place), strict=True))):
            if group is None or len(group.decided) < len(group.results) or group.solved:
                break
            first = row
        return first


def pivot(groups: Sequence[Group], *, by: str, over: str) -> Pivot:
    """Return the groups with the values of one key as columns and those of another as rows.

    Raises:
        UsageError: The groups do not differ in such a key, or one cell would hold several.
    """
    for option, key in (("--by", by), ("--over", over)):
        _require(groups, key, option)
    if by == over:
        raise UsageError(f"{by} cannot be both --by and --over", hint="name another key for one of them")
    rows, columns = _values(groups, over), _values(groups, by)
    cells: dict[tuple[int, int], Group] = {}
    for group in groups:
        place = _place(rows, group.values.get(over)), _place(columns, group.values.get(by))
        if place in cells:
            raise UsageError(_crowded(cells[place], group), where="--by", hint="compare fewer runs, or other keys")
        cells[place] = group
    return Pivot(by, over, tuple(columns), tuple(rows), cells, _overall(rows, columns, cells))


def usual_pivot(groups: Sequence[Group]) -> Pivot | None:
    """Return the pivot that a reader would ask for; None for few groups, or where two keys do not tell them apart.

    Rows are the values of the key with the most numbers, and columns those of the first other key that will do.
    """
    if len(groups) < _FEWEST:
        return None
    keys = dict.fromkeys(key for group in groups for key in group.values)
    numbers = [key for key in keys if all(_is_number(group.values.get(key)) for group in groups)]
    for over in sorted(numbers, key=lambda key: -len(_values(groups, key))):
        for by in keys:
            if by != over and len(_values(groups, by)) * len(_values(groups, over)) == len(groups):
                try:
                    return pivot(groups, by=by, over=over)
                except UsageError:
                    continue
    return None


def _require(groups: Sequence[Group], key: str, option: str) -> None:
    known = dict.fromkeys(name for group in groups for name in group.values)
    if key not in known:
        problem = f"the runs do not differ in '{visible(key[:100])}'"
        differing = f"they differ in {', '.join(list(known)[:8])}" if known else "they differ in nothing but the seed"
        raise UsageError(problem, where=option, hint=nearest(key, known) or differing)


def _values(groups: Sequence[Group], key: str) -> list[Any]:
    """Return the values of a key, each once: groups come in the order of their values, but not of every key's."""
    found: dict[str, Any] = {}
    for group in groups:
        value = group.values.get(key)
        found.setdefault(json.dumps(value, sort_keys=True), value)
    values = list(found.values())
    return sorted(values) if all(map(_is_number, values)) else values


def _place(values: Sequence[Any], value: Any) -> int:
    texts = [json.dumps(one, sort_keys=True) for one in values]
    return texts.index(json.dumps(value, sort_keys=True))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _crowded(one: Group, other: Group) -> str:
    differing = [key for key in {**one.values, **other.values} if one.values.get(key) != other.values.get(key)]
    return f"one cell would hold groups that differ in {', '.join(differing[:4])}"


def _overall(
    rows: Sequence[Any], columns: Sequence[Any], cells: Mapping[tuple[int, int], Group]
) -> tuple[Overall, ...]:
    counted = []
    for one, other in combinations(range(len(columns)), 2):
        pairs = [pair for row in range(len(rows)) for pair in _pairs(cells.get((row, one)), cells.get((row, other)))]
        only_one = sum(a and not b for a, b in pairs)
        only_other = sum(b and not a for a, b in pairs)
        counted.append((one, other, len(pairs), only_one, only_other))
    corrected = holm([compare_matched(only_one, only_other) for *_, only_one, only_other in counted])
    return tuple(
        Overall(columns[one], columns[other], pairs, only_one, only_other, p)
        for (one, other, pairs, only_one, only_other), p in zip(counted, corrected, strict=True)
        if pairs
    )


def _pairs(one: Group | None, other: Group | None) -> list[tuple[bool, bool]]:
    """Return who solved the task, for each seed that both groups have."""
    if one is None or other is None:
        return []
    there: dict[Any, Run] = {result.config.get("seed"): result for result in other.decided}
    seeds = [(result, there.get(result.config.get("seed"))) for result in one.decided]
    return [(bool(a.summary.solved), bool(b.summary.solved)) for a, b in seeds if b is not None]
