"""The registry of figures: those of a comparison, and those of the diagnoses; nothing here prints or writes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from rnnlab.comparison import Comparison
from rnnlab.comparison.groups import Group, value_label
from rnnlab.core.errors import EnvironmentFault, RnnlabError
from rnnlab.core.figure import Figure
from rnnlab.core.table import Table, table
from rnnlab.figures.curves import curves, success
from rnnlab.inspection.diagnoses import Diagnosis, diagnose, diagnoses
from rnnlab.runs.run import Run

OF_COMPARISONS: dict[str, Callable[[Comparison], Figure | None]] = {"success": success, "curves": curves}

_MOST = 6  # networks
_MOST_PANELS = 12


def figures_of(comparison: Comparison) -> list[Figure]:
    """Return the figures of a comparison, without those that it has not."""
    made = (describe(comparison) for describe in OF_COMPARISONS.values())
    return [figure for figure in made if figure is not None]


def figure_of(name: str, found: Mapping[str, Diagnosis], *, note: str = "") -> Figure | None:
    """Return the figure of one diagnosis of some networks, by their headings; None where none has a result.

    `note` says which runs these are, where that is needed.
    """
    results = {heading: one.results[name] for heading, one in found.items() if name in one.results}
    if not results:
        return None
    one = diagnoses()[name]
    if not (panels := one.panels(results)):
        return None
    tables = {heading: made for heading, result in results.items() if (made := one.table(result))}
    left_out = f"{_MOST_PANELS} of {len(panels)} panels are drawn" if len(panels) > _MOST_PANELS else ""
    notes = filter(None, (note, _weights({heading: found[heading] for heading in results}), left_out))
    return Figure(name, one.title, one.caption, panels[:_MOST_PANELS], _joined(tables), "; ".join(notes))


def _weights(found: Mapping[str, Diagnosis]) -> str:
    """Return which weights the networks have."""
    kinds = {one.weights for one in found.values()}
    if len(found) == 1 or len(kinds) == 1:
        steps = ", ".join(dict.fromkeys(f"{one.step:,}" for one in found.values()))
        return f"{kinds.pop()} weights (step {steps})"
    return ", ".join(f"{heading}: {one.weights} weights (step {one.step:,})" for heading, one in found.items())


def _joined(tables: Mapping[str, Table]) -> Table | None:
    """Return one table, the networks in its first column; None where they have different columns."""
    columns = {one.columns for one in tables.values()}
    if len(columns) != 1:  # none, or networks of different tasks, which have different metrics
        return None
    return table(["network", *columns.pop()], [[heading, *row] for heading, one in tables.items() for row in one.rows])


@final
@dataclass(frozen=True, slots=True)
class Representatives:
    """Networks that stand for some runs: diagnoses by heading, faults by run, and which they are where not all."""

    found: Mapping[str, Diagnosis]
    faults: Mapping[str, RnnlabError]
    note: str


def diagnose_representatives(
    comparison: Comparison, names: Collection[str], *, is_each: bool = False
) -> Representatives:
    """Diagnose a network of each group: the one in the middle by its final metric.

    The groups are those of the last row of a pivot, where a sweep is hardest, else the first. With `is_each` it is
    every run instead, where they are few and no pivot.

    Raises:
        EnvironmentFault: A package is missing, or the system fails.
    """
    found: dict[str, Diagnosis] = {}
    faults: dict[str, RnnlabError] = {}
    pivot = comparison.pivot
    if is_each and pivot is None and len(comparison.results) <= _MOST:
        chosen, note = [(comparison.headings[run.name], run) for run in comparison.results], ""
    else:
        groups = (pivot.last_row() if pivot else comparison.groups)[:_MOST]
        chosen = [(comparison.heading(group), _median_run(group)) for group in groups]
        note = _choice(comparison, chosen)
    for heading, run in chosen:
        try:
            found[heading] = diagnose(run, names, for_figures=is_each)
        except EnvironmentFault:
            raise
        except RnnlabError as error:
            faults[run.name] = error
    return Representatives(found, faults, note)


def _choice(comparison: Comparison, chosen: Sequence[tuple[str, Run]]) -> str:
    """Return which runs were chosen, where they are not all."""
    if len(chosen) == len(comparison.results):
        return ""
    which = f"of {len(comparison.results):,} runs"
    if (pivot := comparison.pivot) is not None:
        which += f" those of {value_label(pivot.over, pivot.rows[-1])}"
    elif len(chosen) < len(comparison.groups):
        which += f" those of {len(chosen)} of {len(comparison.groups):,} groups"
    several = any(len(group.results) > 1 for group in comparison.groups)
    return which + (", of each group the one in the middle by its final metric" if several else "")


def _median_run(group: Group) -> Run:
    order = sorted(range(len(group.results)), key=group.scores.__getitem__, reverse=group.higher_is_better)
    return group.results[order[(len(order) - 1) // 2]]
