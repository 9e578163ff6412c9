"""Which runs of many to look into: of each group that matters one, neither the best nor the worst."""

from collections.abc import Sequence

from rnnlab.comparison import Comparison, Result
from rnnlab.comparison.groups import Group
from rnnlab.comparison.metric import higher_is_better

_MOST = 6


def representatives(comparison: Comparison, most: int = _MOST) -> dict[str, Result]:
    """Return heading -> run: of a table the groups of its last row, where a sweep is hardest, else the first groups."""
    return {group.heading: _median_run(group) for group in _groups(comparison)[:most]}


def _groups(comparison: Comparison) -> Sequence[Group]:
    table = comparison.pivot
    if table is None:
        return comparison.groups
    last = (table.cells.get((len(table.rows) - 1, place)) for place in range(len(table.columns)))
    return [group for group in last if group]


def _median_run(group: Group) -> Result:
    order = sorted(range(len(group.results)), key=group.scores.__getitem__, reverse=higher_is_better(group.metric))
    return group.results[order[(len(order) - 1) // 2]]
