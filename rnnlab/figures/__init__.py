"""The registry of figures: those of a comparison, and those of the diagnoses; nothing here prints or writes."""

from collections.abc import Callable, Collection, Mapping

from rnnlab.comparison import Comparison
from rnnlab.comparison.groups import Group
from rnnlab.core.errors import EnvironmentFault, RnnlabError
from rnnlab.core.figure import Figure
from rnnlab.core.table import Table, table
from rnnlab.figures.curves import curves, success
from rnnlab.inspection.diagnoses import Diagnosis, diagnose, diagnoses
from rnnlab.runs.run import Run, Which

OF_COMPARISONS: dict[str, Callable[[Comparison], Figure | None]] = {"success": success, "curves": curves}

_MOST = 6  # networks, and panels


def figures_of(comparison: Comparison) -> list[Figure]:
    """Return the figures of a comparison, without those that it has not."""
    made = (describe(comparison) for describe in OF_COMPARISONS.values())
    return [figure for figure in made if figure is not None]


def figure_of(name: str, found: Mapping[str, Diagnosis]) -> Figure | None:
    """Return the figure of one diagnosis of some networks, by their headings; None where none has a result."""
    results = {heading: one.results[name] for heading, one in found.items() if name in one.results}
    if not results:
        return None
    one = diagnoses()[name]
    tables = {heading: made for heading, result in results.items() if (made := one.table(result))}
    return Figure(name, one.title, one.caption, one.panels(results)[:_MOST], _joined(tables))


def _joined(tables: Mapping[str, Table]) -> Table | None:
    """Return one table, the networks in its first column; None where they have different columns."""
    columns = {one.columns for one in tables.values()}
    if len(columns) != 1:  # none, or networks of different tasks, which have different metrics
        return None
    return table(["network", *columns.pop()], [[heading, *row] for heading, one in tables.items() for row in one.rows])


def diagnose_representatives(
    comparison: Comparison, names: Collection[str]
) -> tuple[dict[str, Diagnosis], Mapping[str, RnnlabError]]:
    """Return heading of a group -> diagnosis of its median run, and name of a run -> why it has none.

    The groups are those of the last row of a pivot, where a sweep is hardest, else the first.

    Args:
        comparison: The runs.
        names: The diagnoses.

    Raises:
        EnvironmentFault: A package is missing, or the system fails.
    """
    found: dict[str, Diagnosis] = {}
    faults: dict[str, RnnlabError] = {}
    pivot = comparison.pivot
    for group in (pivot.last_row() if pivot else comparison.groups)[:_MOST]:
        run = _median_run(group)
        try:
            weights: Which = "best" if run.folder.has_weights("best") else "last"
            found[group.heading] = diagnose(run, names, weights=weights)
        except EnvironmentFault:
            raise
        except RnnlabError as error:
            faults[run.name] = error
    return found, faults


def _median_run(group: Group) -> Run:
    order = sorted(range(len(group.results)), key=group.scores.__getitem__, reverse=group.higher_is_better)
    return group.results[order[(len(order) - 1) // 2]]
