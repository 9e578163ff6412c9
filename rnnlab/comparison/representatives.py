"""Diagnoses of a few of many runs: of each group that matters one, neither the best nor the worst."""

from collections.abc import Collection, Mapping, Sequence

from rnnlab.comparison import Comparison
from rnnlab.comparison.groups import Group
from rnnlab.core.errors import EnvironmentFault, RnnlabError
from rnnlab.inspection.diagnose import Diagnosis, diagnose
from rnnlab.runs.run import Run, Which

_MOST = 6


def diagnose_representatives(
    comparison: Comparison, names: Collection[str]
) -> tuple[dict[str, Diagnosis], Mapping[str, RnnlabError]]:
    """Return heading of a group -> diagnosis of its median run, and name of a run -> why it has none.

    Args:
        comparison: The runs.
        names: The diagnoses.

    Raises:
        EnvironmentFault: A package is missing, or the system fails.
    """
    found: dict[str, Diagnosis] = {}
    faults: dict[str, RnnlabError] = {}
    for heading, result in representatives(comparison).items():
        try:
            weights: Which = "best" if result.folder.has_weights("best") else "last"
            found[heading] = diagnose(result, names, weights=weights)
        except EnvironmentFault:
            raise
        except RnnlabError as error:
            faults[result.name] = error
    return found, faults


def representatives(comparison: Comparison) -> dict[str, Run]:
    """Return heading -> run: of a pivot the groups of its last row, where a sweep is hardest, else the first groups."""
    return {group.heading: _median_run(group) for group in _groups(comparison)[:_MOST]}


def _groups(comparison: Comparison) -> Sequence[Group]:
    pivot = comparison.pivot
    if pivot is None:
        return comparison.groups
    last = (pivot.cells.get((len(pivot.rows) - 1, place)) for place in range(len(pivot.columns)))
    return [group for group in last if group]


def _median_run(group: Group) -> Run:
    order = sorted(range(len(group.results)), key=group.scores.__getitem__, reverse=group.higher_is_better)
    return group.results[order[(len(order) - 1) // 2]]
