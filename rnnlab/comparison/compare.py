"""Comparing runs: what differs in their configs, what their results are, and what can be concluded.

Runs that differ only in their seed are one group (`groups`); groups of several runs are compared with statistics
(`contrasts`), and those of a sweep are laid out in a table (`pivot`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shutil import get_terminal_size
from textwrap import wrap
from typing import Any, final

from rnnlab.comparison.comparability import comparability_warnings, unfinished_warnings
from rnnlab.comparison.conclusions import conclusion
from rnnlab.comparison.contrasts import Contrast, contrasts_of, corrected
from rnnlab.comparison.groups import (
    Group,
    groups_of,
    has_baseline,
    higher_is_better,
    resolve_metric,
    run_headings,
    varying_keys,
)
from rnnlab.comparison.pivot import Pivot, pivot, usual_pivot
from rnnlab.comparison.tables import notes, tables
from rnnlab.core.code_files import with_code_labels
from rnnlab.core.errors import UsageError, VerificationError
from rnnlab.core.table import Table
from rnnlab.core.table_lines import table_lines
from rnnlab.core.text import counted, visible
from rnnlab.runs.find import Damaged, read_some
from rnnlab.runs.run import Run
from rnnlab.storage import RunFolder


@final
@dataclass(frozen=True, repr=False)
class Comparison:
    """Runs side by side.

    Attributes:
        results: The runs, best final value of `metric` first; runs without one come last.
        damaged: The runs that could not be read, each with the reason.
        metric: The metric by which they are ordered, by its full name.
        headings: Name of a run -> what to call it here: short, and different for every run.
        differences: Dotted config key -> name of a run -> value, for the keys that differ, the run's name left out; a
            run whose config lacks the key is not among the values.
        groups: The runs that differ only in their seed, together.
        contrasts: Comparisons of two groups; none where every group is one run.
        pivot: The groups as a table, where one was asked for or suggests itself.
        warnings: Why numbers are not comparable, or not final; one sentence each.
        conclusion: What the comparison shows, in words.
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
    conclusion: str

    def __repr__(self) -> str:
        groups = f" in {counted(len(self.groups), 'group')}" if self.is_grouped else ""
        return f"<Comparison of {counted(len(self.results), 'run')}{groups} by {self.metric}>"

    def __str__(self) -> str:
        width = get_terminal_size().columns
        parts = ["\n".join(table_lines(one, width)) for one in self.tables()]
        texts = map(visible, (*notes(self), *self.warnings, self.conclusion))
        return "\n\n".join([*parts, *("\n".join(wrap(text, width)) for text in texts)])

    def _repr_html_(self) -> str:
        """Show the comparison in a notebook, with its curves where matplotlib is installed."""
        from rnnlab.figures.notebook import as_html, comparison_html

        try:
            return comparison_html(self)
        except Exception:  # nothing may be raised while an error or a list is shown
            return as_html(repr(self))

    def tables(self, most_rows: int | None = None) -> list[Table]:
        """Return what differs, the results, and the differences of groups, as `rnnlab compare` shows them."""
        return tables(self, most_rows)

    @property
    def is_grouped(self) -> bool:
        """Whether groups are shown in place of runs: one of them has several, or they make a table."""
        return self.pivot is not None or len(self.groups) < len(self.results)

    def heading(self, group: Group) -> str:
        """Return what to call a group in a figure: as its run where each is one run."""
        return group.heading if self.is_grouped else self.headings[group.results[0].name]

    @property
    def tests(self) -> int:
        """How many tests its p values are corrected for."""
        return sum(len(one.p) for one in self.contrasts) + (len(self.pivot.overall) if self.pivot else 0)

    def baseline(self, run: Run) -> float | None:
        """Return the task's baseline for the metric of this comparison; None where it has none."""
        return run.summary.baseline if has_baseline(self.metric) else None


def compare(
    runs: Sequence[RunFolder | Damaged],
    metric: str | None = None,
    *,
    by: str | None = None,
    over: str | None = None,
    baseline: str | None = None,
) -> Comparison:
    """Compare runs; what is damaged is named and left out. The arguments are those of `rnnlab.compare`.

    Raises:
        UsageError: No run recorded that metric, a run is given twice, or the groups cannot be laid out as asked.
        VerificationError: No run can be read.
    """
    if (by is None) != (over is None):
        raise UsageError("--by and --over go together", hint="as in --by cell.type --over shape.timesteps")
    _require_distinct(runs)
    read = read_some(runs)
    damaged = tuple(one for one in read if isinstance(one, Damaged))
    found = _with_distinct_names([one for one in read if isinstance(one, Run)])
    if not found:
        raise VerificationError("; ".join(f"{one.name}: {one.reason}" for one in damaged), where="no run can be read")
    name = resolve_metric(found, metric)
    results = tuple(sorted(found, key=lambda run: (*_rank(run, name), run.name)))
    headings = run_headings(results)
    configs = {run.name: one for run, one in zip(results, with_code_labels(run.config for run in results), strict=True)}
    varying = varying_keys(list(configs.values()))
    groups = groups_of(results, name)
    grouped = len(groups) < len(results)
    table = pivot(groups, by=by, over=over) if by and over else usual_pivot(groups)
    contrasts = contrasts_of(groups, baseline, table=table) if grouped or baseline else ()
    contrasts, table = corrected(contrasts, table)
    return Comparison(
        results=results,
        damaged=damaged,
        metric=name,
        headings=headings,
        differences={
            key: {name: config[key] for name, config in configs.items() if key in config}
            for key in varying
            if key != "name"
        },
        groups=groups,
        contrasts=contrasts,
        pivot=table,
        warnings=tuple(_warnings(results, headings, groups, table)),
        conclusion=conclusion(results, headings, groups, contrasts, table),
    )


def _warnings(
    runs: Sequence[Run], headings: Mapping[str, str], groups: Sequence[Group], table: Pivot | None
) -> list[str]:
    """Return the warnings; in a table only the runs of one row are compared, and seeds repeat by design."""
    grouped = len(groups) < len(runs)
    names, compared = headings, [runs]
    if (grouped or table) and len(groups) > 1:
        names = {run.name: group.heading for group in groups for run in group.results}
    if table:
        compared = [[run for group in row if group for run in group.results] for row in table.cells]
    may_differ = {"seed"} if grouped else set()
    found = [text for part in compared for text in comparability_warnings(part, names, may_differ=may_differ)]
    if repeated := [group.heading for group in groups if len(set(group.seeds)) < len(group.results)]:
        found.append(f"compare with care: runs of {', '.join(repeated[:4])} share a seed, so they are no repetitions")
    return [*dict.fromkeys(found), *unfinished_warnings(runs, headings)]


def _require_distinct(runs: Sequence[RunFolder | Damaged]) -> None:
    paths = [run.path for run in runs if isinstance(run, RunFolder)]
    # Of thousands of runs, few are links, and all have a few parents.
    parents = {parent: parent.resolve() for parent in {path.parent for path in paths}}
    real = (path.resolve() if path.is_symlink() else parents[path.parent] / path.name for path in paths)
    for path, times in Counter(real).most_common(1):
        if times > 1:
            hint = "name each run once; `rnnlab list` shows the runs"
            raise UsageError(f"the run {path.name} is given {times} times", hint=hint)


def _with_distinct_names(runs: Sequence[Run]) -> list[Run]:
    """Return the runs under different names: a copied run folder keeps its name, so then the path is the name."""
    times = Counter(run.name for run in runs)
    return [run if times[run.name] == 1 else run.called(str(run.path)) for run in runs]


def _rank(run: Run, metric: str) -> tuple[bool, float]:
    value = run.final(metric)
    if value is None:
        return True, 0.0
    return False, -value if higher_is_better(run, metric) else value
