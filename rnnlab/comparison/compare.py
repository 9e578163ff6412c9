"""Comparing runs: what differs in their configs, what each came to, and what that says.

Runs that differ in their seed alone are one group (`groups`); groups of several runs are held against each other with
statistics (`contrasts`), and those of a sweep stand in a table (`pivot`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from rnnlab.comparison.comparability import comparability_warnings, unfinished_warnings
from rnnlab.comparison.contrasts import Contrast, contrasts_of
from rnnlab.comparison.differences import differences
from rnnlab.comparison.groups import Group, groups_of
from rnnlab.comparison.headings import headings
from rnnlab.comparison.metric import has_baseline, higher_is_better, resolve_metric
from rnnlab.comparison.pivot import Pivot, pivot, usual_pivot
from rnnlab.comparison.story import story
from rnnlab.comparison.verdict import verdict
from rnnlab.core.errors import UsageError, VerificationError
from rnnlab.core.text import visible
from rnnlab.runs.many import Damaged, read_some
from rnnlab.runs.run import Run
from rnnlab.storage import RunFolder


@final
@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        results: One a run, best final value of `metric` first; runs without one come last.
        damaged: The runs that could not be read, each with the reason.
        metric: The metric by which they are ordered, by its full name.
        headings: Name of a run -> what to call it here: short, and different for every run.
        differences: Dotted config key -> name of a run -> value, for the keys that differ, the run's name left out; a
            run whose config lacks the key is not among the values.
        groups: The runs that differ in their seed alone, together.
        contrasts: Groups held against each other; none where every group is one run.
        pivot: The groups as a table, where one was asked for or suggests itself.
        warnings: Why numbers are not comparable, or not final; one sentence each.
        verdict: The difference in words.
    """

    results: tuple[Run, ...]
    damaged: tuple[Damaged, ...]
    metric: str
    headings: Mapping[str, str]
    differences: Mapping[str, Mapping[str, Any]]
    groups: tuple[Group, ...]
    contrasts: tuple[Contrast, ...]
    pivot: Pivot | None
    warnings: tuple[str, ...]
    verdict: str

    @property
    def is_grouped(self) -> bool:
        """Whether the groups tell more than the runs: one of them has several, or they make a table."""
        return self.pivot is not None or any(len(group.results) > 1 for group in self.groups)

    def baseline(self, result: Run) -> float | None:
        """Return the task's baseline for the metric of this comparison; None where it has none."""
        return result.summary.baseline if has_baseline(self.metric) else None


def compare(
    runs: Sequence[RunFolder | Damaged],
    metric: str | None = None,
    *,
    by: str | None = None,
    over: str | None = None,
    baseline: str | None = None,
) -> Comparison:
    """Compare runs; what is damaged is named and left out.

    Args:
        runs: The runs, or the reason why one could not be opened.
        metric: What to order and draw by: a full name (`train/loss`) or that of a validation metric (`error_rate`);
            the validation loss when left out.
        by: The config key whose values are the columns of a table of groups; with `over`, or neither.
        over: The key whose values are its rows.
        baseline: The group that all others are held against, by its heading or a part of it.

    Raises:
        UsageError: No run recorded that metric, a run is given twice, or the groups cannot be set out as asked.
        VerificationError: Not one of the runs can be read.
    """
    if (by is None) != (over is None):
        raise UsageError("--by and --over go together", hint="as in --by cell.type --over shape.timesteps")
    _refuse_repeats(runs)
    read = read_some(runs)
    damaged = tuple(one for one in read if isinstance(one, Damaged))
    results = _distinct([one for one in read if isinstance(one, Run)])
    if not results:
        raise VerificationError("; ".join(f"{one.name}: {one.reason}" for one in damaged), where="no run can be read")
    name = resolve_metric(results, metric)
    ordered = tuple(sorted(results, key=lambda result: (*_rank(result, name), result.name)))
    called = headings(ordered)
    groups = groups_of(ordered, name)
    grouped = len(groups) < len(results)
    table = pivot(groups, by=by, over=over) if by and over else usual_pivot(groups)
    contrasts = contrasts_of(groups, baseline) if grouped or baseline else ()
    return Comparison(
        results=ordered,
        damaged=damaged,
        metric=name,
        headings=called,
        differences=differences(ordered),
        groups=groups,
        contrasts=contrasts,
        pivot=table,
        warnings=tuple(_warnings(ordered, called, groups, table)),
        verdict=story(groups, contrasts, table) if grouped or table else verdict(ordered, called),
    )


def _warnings(
    results: Sequence[Run], called: Mapping[str, str], groups: Sequence[Group], table: Pivot | None
) -> list[str]:
    """Return the warnings; in a table only what stands in one row is held together, and seeds repeat by design."""
    grouped = len(groups) < len(results)
    several = (grouped or table) and len(groups) > 1
    names = {one.name: group.heading for group in groups for one in group.results} if several else called
    rows: list[Sequence[Run]] = [results]
    if table:
        rows = [
            [one for column in range(len(table.columns)) for one in _results(table.cells.get((row, column)))]
            for row in range(len(table.rows))
        ]
    told = [
        warning
        for row in rows
        for warning in comparability_warnings(row, names, may_differ={"seed"} if grouped else ())
    ]
    repeats = [group.heading for group in groups if len(set(group.seeds)) < len(group.results)]
    again = (
        f"compare with care: runs of {', '.join(repeats[:4])} share a seed: they repeat each other, and prove no more"
    )
    return [*dict.fromkeys(told), *([again] if repeats else []), *unfinished_warnings(results, called)]


def _results(group: Group | None) -> Sequence[Run]:
    return group.results if group else ()


def _refuse_repeats(runs: Sequence[RunFolder | Damaged]) -> None:
    paths = Counter(run.path.resolve() for run in runs if isinstance(run, RunFolder))
    twice = next((path for path, times in paths.items() if times > 1), None)
    if twice:
        problem = f"the run {visible(twice.name)} is given {paths[twice]} times"
        raise UsageError(problem, hint="name each run once; `rnnlab list` shows the runs")


def _distinct(results: list[Run]) -> list[Run]:
    """Return the results under names that differ: a copied run folder keeps its name, so then the path is the name."""
    times = Counter(result.name for result in results)
    return [result if times[result.name] == 1 else result.called(str(result.path)) for result in results]


def _rank(result: Run, metric: str) -> tuple[bool, float]:
    value = result.final(metric)
    if value is None:
        return True, 0.0
    return False, -value if higher_is_better(metric) else value
