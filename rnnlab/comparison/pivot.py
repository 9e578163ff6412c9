"""A sweep as a table: the values of one key as rows, those of another as columns, one group in each cell."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan
from typing import Any, final

from rnnlab.comparison.groups import Group, seed_of
from rnnlab.comparison.statistics import compare_matched
from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest

_FEWEST = 5  # groups for which a table is made without being asked for


@final
@dataclass(frozen=True, slots=True)
class Overall:
    """Two columns of a pivot, compared over all its rows.

    Attributes:
        pairs: Pairs of runs with equal row and seed.
        only_one, only_other: In how many of them just one solved the task.
        p: Of McNemar's exact test.
        p_holm: The same, corrected by Holm's method for all tests of the comparison (`corrected`); nan before.
    """

    one: Any
    other: Any
    pairs: int
    only_one: int
    only_other: int
    p: float
    p_holm: float = nan


@final
@dataclass(frozen=True)
class Pivot:
    """Groups in rows and columns.

    Attributes:
        by, over: The keys whose values are the columns and the rows.
        columns, rows: The values, in order; None where the config lacks the key.
        cells: The groups of each row, from the first column to the last; not all need be there.
        overall: Every pair of columns.
    """

    by: str
    over: str
    columns: tuple[Any, ...]
    rows: tuple[Any, ...]
    cells: tuple[tuple[Group | None, ...], ...]
    overall: tuple[Overall, ...]

    @property
    def is_ascending(self) -> bool:
        """Whether the rows are numbers, so that they have an order."""
        return len(self.rows) > 1 and all(map(_is_number, self.rows))

    def column(self, place: int) -> list[Group | None]:
        """Return the groups of a column, from the first row to the last."""
        return [row[place] for row in self.cells]

    def last_row(self) -> list[Group]:
        """Return the groups of the last row, where a sweep is hardest."""
        return [group for group in self.cells[-1] if group]

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
        UsageError: The groups do not differ in such a key, or several belong in one cell.
    """
    known = list(dict.fromkeys(key for group in groups for key in group.values))
    for option, key in (("--by", by), ("--over", over)):
        if key not in known:
            hint = f"they differ in {', '.join(known[:8])}" if known else "they differ only in the seed"
            if (near := nearest(key, known)).startswith("did"):
                hint = near
            raise UsageError(f"the runs do not differ in '{key[:100]}'", where=option, hint=hint)
    if by == over:
        raise UsageError(f"{by} cannot be both --by and --over", hint="name another key for one of them")
    rows, columns = _values(groups, over), _values(groups, by)
    placed: dict[tuple[str, str], Group] = {}
    for group in groups:
        # To Python 1, 1.0 and True are equal, but their texts are not.
        place = repr(group.values.get(over)), repr(group.values.get(by))
        if other := placed.get(place):
            differing = ", ".join([key for key in known if group.values.get(key) != other.values.get(key)][:4])
            problem = f"several groups belong in one cell: they differ in {differing}"
            raise UsageError(problem, where="--by", hint="compare fewer runs, or other keys")
        placed[place] = group
    cells = tuple(tuple(placed.get((repr(row), repr(column))) for column in columns) for row in rows)
    return Pivot(by, over, columns, rows, cells, _overall(columns, cells))


def usual_pivot(groups: Sequence[Group]) -> Pivot | None:
    """Return the table that suggests itself; None for few groups, or where two keys do not distinguish them.

    Rows are the values of the key with the most numbers, and columns those of the first other key that fits.
    """
    if len(groups) < _FEWEST:
        return None
    keys = dict.fromkeys(key for group in groups for key in group.values)
    sizes = {key: len(_values(groups, key)) for key in keys}
    numbers = [key for key in keys if all(_is_number(group.values.get(key)) for group in groups)]
    for over in sorted(numbers, key=lambda key: -sizes[key]):
        for by in keys:
            if by != over and sizes[by] * sizes[over] == len(groups):
                try:
                    return pivot(groups, by=by, over=over)
                except UsageError:
                    continue
    return None


def _values(groups: Sequence[Group], key: str) -> tuple[Any, ...]:
    """Return the values of a key, each once; numbers in their order."""
    values = list({repr(group.values.get(key)): group.values.get(key) for group in groups}.values())
    return tuple(sorted(values) if all(map(_is_number, values)) else values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _overall(columns: Sequence[Any], cells: Sequence[Sequence[Group | None]]) -> tuple[Overall, ...]:
    found = []
    for one, other in combinations(range(len(columns)), 2):
        pairs = [pair for row in cells for pair in _pairs(row[one], row[other])]
        only_one, only_other = (sum(pair[place] > pair[1 - place] for pair in pairs) for place in (0, 1))
        if pairs:
            p = compare_matched(only_one, only_other)
            found.append(Overall(columns[one], columns[other], len(pairs), only_one, only_other, p))
    return tuple(found)


def _pairs(one: Group | None, other: Group | None) -> list[tuple[bool, bool]]:
    """Return which of two runs solved the task, for each seed that both groups have."""
    if one is None or other is None:
        return []
    solved = {seed_of(run): bool(run.summary.solved) for run in other.decided}
    seeds = [(seed_of(run), bool(run.summary.solved)) for run in one.decided]
    return [(mine, solved[seed]) for seed, mine in seeds if seed in solved]
