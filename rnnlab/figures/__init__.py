"""The registry of figures: those of a comparison, and those of the diagnoses; nothing here prints or writes."""

from collections.abc import Callable, Mapping

from rnnlab.comparison import Comparison
from rnnlab.core.figure import Figure
from rnnlab.core.table import Table, table
from rnnlab.figures.curves import curves
from rnnlab.figures.success import success
from rnnlab.inspection.diagnose import Diagnosis
from rnnlab.inspection.diagnoses import diagnoses

OF_COMPARISONS: dict[str, Callable[[Comparison], Figure | None]] = {"success": success, "curves": curves}


def figures_of(comparison: Comparison) -> list[Figure]:
    """Return the figures of a comparison, without those that it has not."""
    made = (describe(comparison) for describe in OF_COMPARISONS.values())
    return [figure for figure in made if figure is not None]


def figure_of(name: str, found: Mapping[str, Diagnosis]) -> Figure | None:
    """Return the figure of one diagnosis of some networks, by their headings; None where none has a result."""
    results = {heading: one.results[name] for heading, one in found.items() if name in one.results}
    return diagnoses()[name].figure(results) if results else None


def table_of(name: str, found: Mapping[str, Diagnosis]) -> Table | None:
    """Return the table of one diagnosis of some networks, the networks in the first column; None where it has none."""
    tables = [
        (heading, made)
        for heading, one in found.items()
        if name in one.results and (made := diagnoses()[name].table(one.results[name]))
    ]
    heads = {tuple(column.name for column in made.columns) for _, made in tables}
    if len(heads) != 1:  # none, or networks of different tasks, which have different metrics
        return None
    return table(["network", *heads.pop()], [[heading, *row] for heading, made in tables for row in made.rows])
