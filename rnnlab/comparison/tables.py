"""Groups of runs in tables of text: in what they differ, how often each solved its task, how sure that is."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from rnnlab.comparison.compare import Comparison
from rnnlab.comparison.contrasts import Contrast
from rnnlab.comparison.groups import Group, told_value
from rnnlab.comparison.metric import short_name
from rnnlab.comparison.pivot import Pivot
from rnnlab.comparison.question import Question
from rnnlab.comparison.statistics import Interval

UNKNOWN = "—"
_MOST_VALUES = 6
MOST_ROWS = 60

Table = tuple[str, list[str], list[list[str]]]


def tables_of(comparison: Comparison) -> list[Table]:
    """Return the tables that tell of groups, each a title, a head and rows; the first column of each is text."""
    tables = [_differing(comparison.groups)] if len(comparison.groups) > 1 else []
    if comparison.pivot:
        tables.append(_of_table(comparison.pivot))
    else:
        tables += [_of_successes(comparison.groups), _of_values(comparison.groups)]
    if comparison.contrasts and not comparison.pivot:
        tables.append(_of_contrasts(comparison.contrasts))
    return tables


def notes_of(comparison: Comparison) -> list[str]:
    """Return how the tables are to be read."""
    metric = short_name(comparison.metric)
    if comparison.pivot:
        note = f"Each cell: runs that solved the task, and the median of the final {metric}."
        if len(comparison.pivot.columns) != 2:
            return [note]
        chance = "p: how likely the row would be if both columns were equally good"
        return [f"{note} {chance}; Fisher's exact test, by Holm's method for {_rows(comparison.pivot)}."]
    notes = [
        "Success: with Wilson's interval; sequences: the Kaplan-Meier median until solved, runs that did not solve "
        f"censored. Final {metric}: IQM is the mean of the middle half; the intervals are bootstrapped."
    ]
    if comparison.contrasts:
        notes.append(
            "p by Holm's method. solved: Fisher's exact test; sequences: log-rank test; values: Wilcoxon's signed "
            "ranks where the seeds are the same, else a permutation test; above: the share of pairs in which the first "
            "group's value is the higher."
        )
    return notes


def task_note(question: Question | None) -> list[str]:
    """Return what was asked of the networks, in a sentence or two; nothing where that is not one task."""
    if question is None:
        return []
    return [f"Task {question.task}: {question.title}. Solved means: {question.solved}."]


def _differing(groups: Sequence[Group]) -> Table:
    keys = dict.fromkeys(key for group in groups for key in group.values)
    rows = []
    for key in keys:
        values = dict.fromkeys(value_text(group.values[key]) for group in groups if key in group.values)
        more = f" and {len(values) - _MOST_VALUES} more" if len(values) > _MOST_VALUES else ""
        absent = "; not in all" if any(key not in group.values for group in groups) else ""
        rows.append([key, ", ".join(list(values)[:_MOST_VALUES]) + more + absent])
    return "Config differences", ["key", "values"], rows


def value_text(value: Any) -> str:
    """Return a config's value as YAML has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _of_successes(groups: Sequence[Group]) -> Table:
    rows = [
        [
            group.heading,
            str(len(group.results)),
            f"{group.solved}/{len(group.decided)}" if group.decided else UNKNOWN,
            _interval(group.solved_interval, "{:.0%}"),
            UNKNOWN if group.sequences_to_success is None else f"{group.sequences_to_success:,.0f}",
        ]
        for group in groups
    ]
    return "Success", ["group", "runs", "solved", "95 %", "sequences"], rows


def _of_values(groups: Sequence[Group]) -> Table:
    rows = [
        [
            group.heading,
            figure(group.median),
            _interval(group.median_interval),
            figure(group.interquartile_mean),
            _interval(group.interquartile_mean_interval),
        ]
        for group in groups[:MOST_ROWS]  # each interval takes some milliseconds
    ]
    return f"Final {short_name(groups[0].metric)}", ["group", "median", "95 %", "IQM", "95 %"], rows


def _interval(interval: Interval | None, form: str = "") -> str:
    if interval is None:
        return UNKNOWN
    low, high = (form.format(bound) if form else figure(bound) for bound in interval)
    return f"{low} to {high}"


def figure(value: float) -> str:
    """Return a number in three digits."""
    return f"{value:.3g}" if isfinite(value) else "not finite"


def _of_contrasts(contrasts: Sequence[Contrast]) -> Table:
    head = ["groups", "p solved", "p sequences", "p values", "above"]
    rows = [
        [
            f"{one.one.heading} – {one.other.heading}",
            *(p_text(one.corrected.get(kind)) for kind in ("solved", "times", "values")),
            f"{one.values.superiority:.0%}" if one.values else UNKNOWN,
        ]
        for one in contrasts
    ]
    return "Differences", head, rows


def p_text(p: float | None) -> str:
    """Return a p value in two digits.

    Example:
        >>> p_text(0.00012), p_text(0.0079), p_text(None)
        ('< 0.001', '0.0079', '—')
    """
    return UNKNOWN if p is None else "< 0.001" if p < 0.001 else f"{p:.2g}"


def _of_table(table: Pivot) -> Table:
    two = len(table.columns) == 2
    head = [table.over, *(_named(table.by, value) for value in table.columns), *(["p"] if two else [])]
    tested = row_tests(table)
    rows = [
        [
            UNKNOWN if value is None else value_text(value),
            *(_cell(table.cells.get((number, column))) for column in range(len(table.columns))),
            *([p_text(tested.get(number))] if two else []),
        ]
        for number, value in enumerate(table.rows)
    ]
    sums = [f"{k}/{n}" for k, n in map(table.solved, range(len(table.columns)))]
    return f"{table.by} over {table.over}", head, [*rows, ["all", *sums, *([_over_all(table)] if two else [])]]


def row_tests(table: Pivot) -> Mapping[int, float]:
    """Return p of each row of a table of two columns, by Holm's method."""
    from rnnlab.comparison.statistics import compare_counts, holm

    raw: dict[int, float] = {}
    for row in range(len(table.rows)):
        one, other = (table.cells.get((row, column)) for column in (0, 1))
        if one and other and one.decided and other.decided:
            raw[row] = compare_counts((one.solved, len(one.decided)), (other.solved, len(other.decided)))
    return dict(zip(raw, holm(list(raw.values())), strict=True))


def _rows(table: Pivot) -> str:
    return f"{len(table.rows)} rows; of all together, McNemar's test of pairs of one row and seed"


def _over_all(table: Pivot) -> str:
    return p_text(table.overall[0].p) if table.overall else UNKNOWN


def _named(key: str, value: Any) -> str:
    return UNKNOWN if value is None else told_value(key, value)


def _cell(group: Group | None) -> str:
    if group is None:
        return UNKNOWN
    known = f"{group.solved}/{len(group.decided)}" if group.decided else UNKNOWN
    return f"{known}, {figure(group.median)}"
