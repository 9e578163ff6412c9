"""Which groups differ by more than chance: every pair that did the same task, or each compared with a baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import final

from rnnlab.comparison.comparability import definition
from rnnlab.comparison.groups import Group
from rnnlab.comparison.pivot import Pivot
from rnnlab.comparison.statistics import Difference, compare_counts, compare_values, holm
from rnnlab.comparison.survival import compare_times
from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest
from rnnlab.core.text import listed

_MOST_OF_ALL_PAIRS = 6  # groups; of more, each is compared with the first
_OPTION = "--baseline"


@final
@dataclass(frozen=True)
class Contrast:
    """The comparison of two groups that did the same task.

    Attributes:
        one, other: The groups.
        paired: Whether they have the same seeds, so that the final metrics are compared pair by pair.
        values: The difference of the final metric; None where a group has one run, and in a table.
        p: The p values by name, those that can be computed: `solved`, of Fisher's exact test of how many solved the
            task, which is not paired and so conservative where runs of one seed are alike; `sequences`, of the log-rank
            test of the sequences to success; `values`, of the final metric.
        p_holm: The same, corrected by Holm's method for all tests of the comparison (`corrected`).
    """

    one: Group
    other: Group
    paired: bool
    values: Difference | None
    p: Mapping[str, float]
    p_holm: Mapping[str, float]


def contrasts_of(
    groups: Sequence[Group], baseline: str | None = None, *, table: Pivot | None = None
) -> tuple[Contrast, ...]:
    """Return the contrasts, not yet corrected, of groups of the same task and lengths, one of them of several runs.

    They are of each group with the baseline, found by its heading or a part of it; without one of all pairs, of more
    than six groups the first with each. In a table they are those of each row, of success alone, which it is about:
    tests that nobody asked for would weaken those that are shown.

    Raises:
        UsageError: There is no such baseline, or several groups fit.
    """
    if baseline is None:
        rows = [[group for group in row if group] for row in table.cells] if table else [groups]
        pairs = [pair for row in rows for members in _alike(row) for pair in _pairs(members)]
    else:
        fitting = _fitting(groups, baseline) or [_only_one(groups, baseline)]
        chosen = [members for members in _alike(groups) if any(group in fitting for group in members)]
        pairs = [pair for members in chosen for pair in _each_with(_only_one(members, baseline), members)]
        if not pairs:
            raise UsageError("no group can be compared with the baseline", where=_OPTION, hint="name more runs")
    several = [pair for pair in pairs if sum(len(group.results) for group in pair) > 2]
    return tuple(_contrast(*pair, success_alone=table is not None) for pair in several)


def corrected(contrasts: Sequence[Contrast], table: Pivot | None) -> tuple[tuple[Contrast, ...], Pivot | None]:
    """Return the contrasts and the table with `p_holm` filled in, the only place where that is done.

    The family is everything that is tested: of each contrast how many solved the task, how fast, and the final metric;
    in a table, success in each row and over all rows. So the chance that any of its p values is below 0.05 by chance
    alone is at most 5 %, whichever of them a reader picks out.
    """
    overall = table.overall if table else ()
    left = iter(holm([*(p for one in contrasts for p in one.p.values()), *(one.p for one in overall)]))
    of_contrasts = tuple(replace(one, p_holm={name: next(left) for name in one.p}) for one in contrasts)
    of_columns = tuple(replace(one, p_holm=next(left)) for one in overall)
    return of_contrasts, replace(table, overall=of_columns) if table else None


def _alike(groups: Sequence[Group]) -> list[list[Group]]:
    """Return the groups that did the same task together."""
    alike: dict[str, list[Group]] = {}
    for group in groups:
        alike.setdefault(definition(group.results[0]), []).append(group)
    return list(alike.values())


def _pairs(groups: Sequence[Group]) -> list[tuple[Group, Group]]:
    return list(combinations(groups, 2)) if len(groups) <= _MOST_OF_ALL_PAIRS else _each_with(groups[0], groups)


def _each_with(first: Group, groups: Sequence[Group]) -> list[tuple[Group, Group]]:
    return [(first, other) for other in groups if other is not first]


def _only_one(groups: Sequence[Group], asked: str) -> Group:
    found = _fitting(groups, asked)
    if len(found) == 1:
        return found[0]
    known = [group.heading for group in groups]
    groups_there = f"groups: {listed(known, 8)}"
    problem = f"'{asked[:100]}' fits {len(found)} groups" if found else f"there is no group '{asked[:100]}'"
    raise UsageError(problem, where=_OPTION, hint=groups_there if found else (nearest(asked, known) or groups_there))


def _fitting(groups: Sequence[Group], asked: str) -> list[Group]:
    """Return the groups of that heading, else those with it as a word, else as a part."""
    exact = [group for group in groups if group.heading == asked]
    found = exact or [group for group in groups if asked in group.heading.split()]
    return found or [group for group in groups if asked in group.heading]


def _contrast(one: Group, other: Group, *, success_alone: bool) -> Contrast:
    paired = len(one.results) > 1 and None not in one.seeds and one.seeds == other.seeds
    several = min(len(one.results), len(other.results)) > 1
    values = compare_values(one.scores, other.scores, paired=paired) if several and not success_alone else None
    known, timed = one.decided and other.decided, one.times.at and other.times.at and not success_alone
    p = {
        "solved": compare_counts((one.solved, len(one.decided)), (other.solved, len(other.decided))) if known else None,
        "sequences": compare_times(one.times, other.times) if timed else None,
        "values": values.p if values else None,
    }
    return Contrast(one, other, paired, values, {name: each for name, each in p.items() if each is not None}, {})
