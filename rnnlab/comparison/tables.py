"""The tables of a comparison, for every format: what differs, what the results are, and how sure differences are."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rnnlab.comparison.contrasts import Contrast
from rnnlab.comparison.groups import Group, seed_of, short_name, value_label
from rnnlab.comparison.pivot import Pivot
from rnnlab.comparison.statistics import Interval, p_text
from rnnlab.core.table import UNKNOWN, Cell, Column, Table, table
from rnnlab.core.text import counted, listed
from rnnlab.runs.run import Run
from rnnlab.storage.summary import LOSS

if TYPE_CHECKING:  # a comparison makes its tables
    from rnnlab.comparison.compare import Comparison

RESULTS = "Results"  # the title of the table with one row per run
_Row = TypeVar("_Row")
_MOST_VALUES = 6
_MOST_COLUMNS = 4  # runs that are columns; more are rows


def tables(comparison: "Comparison", most_rows: int | None = None) -> list[Table]:
    """Return the tables of a comparison: of groups, where runs repeat a config, else of runs; the first `most_rows`."""
    groups = comparison.groups
    if not _shows_groups(comparison):
        of_runs = [_run_differences(comparison, most_rows), run_table(comparison, most_rows)]
        of_runs = of_runs if comparison.differences else of_runs[1:]
        return of_runs if len(comparison.results) > _MOST_COLUMNS else [one.transposed() for one in of_runs]
    parts = [_group_differences(groups)] if len(groups) > 1 else []
    if comparison.pivot:
        return [*parts, _pivot(comparison.pivot, comparison.contrasts, most_rows)]
    parts += [_successes(groups, most_rows), _values(groups, most_rows)]
    return [*parts, _contrasts(comparison.contrasts, most_rows)] if comparison.contrasts else parts


def notes(comparison: "Comparison") -> list[str]:
    """Return how the tables are to be read; nothing where they explain themselves."""
    if not _shows_groups(comparison):
        return []
    metric = short_name(comparison.metric)
    if comparison.pivot:
        note = f"Each cell: runs that solved the task, and the median of the final {metric}."
        if len(comparison.pivot.columns) == 2:
            note += (
                " p: Fisher's exact test of the two columns; in the last row McNemar's test of all pairs of equal row "
                f"and seed. {_correction(comparison)}"
            )
        return [note]
    found = [
        "Success: with Wilson's interval; sequences: the Kaplan-Meier median until solved. A run that diverged, "
        "stopped on a plateau or was pruned never solves the task; one that used up its budget, was interrupted, "
        f"failed or has not ended is censored there. Final {metric}: IQM is the mean of the middle half; the intervals "
        "are bootstrapped."
    ]
    if comparison.contrasts:
        found.append(
            "p solved: Fisher's exact test; p sequences: log-rank test; p values: Wilcoxon's signed ranks where the "
            "seeds are the same, else the Mann-Whitney U test; above: the share of pairs in which the first group's "
            f"value is the higher. {_correction(comparison)}"
        )
    return found


def _correction(comparison: "Comparison") -> str:
    return f"All p are corrected by Holm's method for all {counted(comparison.tests, 'test')} of the comparison."


def _shows_groups(comparison: "Comparison") -> bool:
    return comparison.is_grouped and len(comparison.results) > _MOST_COLUMNS


def _made(
    title: str, columns: Mapping[str, Callable[[_Row], Cell]], rows: Sequence[_Row], most: int | None, form: str = ""
) -> Table:
    """Return a table of the first rows, from the function of each column; the first heading is what a row is."""
    heads = [Column(head, is_number=place > 0, form=form) for place, head in enumerate(columns)]
    cells = [[read(row) for read in columns.values()] for row in rows[:most]]
    return table(heads, cells, _title(title, most, len(rows), heads[0].name))


def _title(title: str, shown: int | None, count: int, noun: str) -> str:
    """Return a title with the number of rows, where some are left out."""
    return f"{title} (the first {shown} of {counted(count, noun)})" if shown is not None and count > shown else title


def _run_differences(comparison: "Comparison", most: int | None) -> Table:
    columns: dict[str, Callable[[Run], Cell]] = {"run": lambda run: comparison.headings[run.name]}
    for key, of_run in comparison.differences.items():
        columns[key] = lambda run, of_run=of_run: value_text(of_run[run.name]) if run.name in of_run else None  # type: ignore[misc]
    return _made("Config differences", columns, comparison.results, most)


def run_table(comparison: "Comparison", most_rows: int | None = None) -> Table:
    """Return the results, one row per run, best first."""
    names = [name for run in comparison.results[:most_rows] for name in run.metrics() if name.startswith("validation/")]
    columns: dict[str, Callable[[Run], Cell]] = {
        "run": lambda run: comparison.headings[run.name],
        "state": _ended,
        "steps": lambda run: run.summary.steps,
    }
    for name in dict.fromkeys([*names, comparison.metric]):
        columns |= _metric_columns(name)
    columns |= {
        "solved": lambda run: run.summary.solved,
        "sequences to success": lambda run: run.summary.sequences_to_success,
        "seconds to success": lambda run: run.summary.solved_at and run.summary.solved_at.seconds,
        "parameters": lambda run: run.summary.parameters,
        "steps per second": lambda run: run.summary.steps_per_second and round(run.summary.steps_per_second),
    }
    return _made(RESULTS, columns, comparison.results, most_rows)


def _metric_columns(name: str) -> dict[str, Callable[[Run], Cell]]:
    short = short_name(name)
    columns: dict[str, Callable[[Run], Cell]] = {
        f"{short}, final": lambda run: _final(run, name),
        f"{short}, best": lambda run: run.best(name),
    }
    if name == LOSS:
        columns |= {
            "baseline": lambda run: run.summary.baseline,
            "final / baseline": lambda run: _ratio(run.final(name), run.summary.baseline),
            "best / baseline": lambda run: _ratio(run.best(name), run.summary.baseline),
        }
    return columns


def _ended(run: Run) -> str:
    stopped = run.summary.stopped
    return run.state if stopped in {run.state, "running"} else f"{run.state}: {stopped}"


def _final(run: Run, name: str) -> float | None:
    value = run.final(name)
    return float("nan") if value is None and run.curve(name) else value


def _ratio(value: float | None, baseline: float | None) -> float | None:
    return value / baseline if value is not None and baseline else None


def record_table(comparison: "Comparison") -> Table:
    """Return all that is known of each run, for other programs: its group, the values in which runs differ, results."""
    groups = {run.name: group.heading for group in comparison.groups for run in group.results}
    keys = [key for key in comparison.differences if key != "seed"]
    scores = dict.fromkeys(f"validation/{name}" for run in comparison.results for name in sorted(run.summary.metrics))
    metrics = [*scores, *([] if comparison.metric in scores else [comparison.metric])]
    rows = [
        [
            *(run.name, groups[run.name], run.state, run.summary.solved, seed_of(run)),
            *(_plain(run.config.get(key)) for key in keys),
            *(run.summary.steps, run.summary.sequences, run.summary.seconds, run.summary.sequences_to_success),
            *(run.summary.parameters, run.summary.baseline, *map(run.final, metrics)),
        ]
        for run in comparison.results
    ]
    columns = ["run", "group", "state", "solved", "seed", *keys, "steps", "sequences", "seconds"]
    return table([*columns, "sequences_to_success", "parameters", "baseline", *map(short_name, metrics)], rows)


def _plain(value: Any) -> Cell:
    return value if value is None or isinstance(value, str | int | float) else value_text(value)


def value_text(value: Any) -> str:
    """Return a config's value as YAML has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _group_differences(groups: Sequence[Group]) -> Table:
    rows = []
    for key in dict.fromkeys(key for group in groups for key in group.values):
        values = list(dict.fromkeys(value_text(group.values[key]) for group in groups if key in group.values))
        absent = "; not in all" * any(key not in group.values for group in groups)
        rows.append([key, listed(values, _MOST_VALUES) + absent])
    return table(["key", "values"], rows, "Config differences", text=["values"])


def _solved(group: Group) -> str | None:
    return f"{group.solved}/{len(group.decided)}" if group.decided else None


def _successes(groups: Sequence[Group], most: int | None) -> Table:
    columns: dict[str, Callable[[Group], Cell]] = {
        "group": lambda group: group.heading,
        "runs": lambda group: len(group.results),
        "solved": _solved,
        "95 % interval": lambda group: _interval(group.solved_interval, ".0%"),
        "sequences": lambda group: group.sequences_to_success and round(group.sequences_to_success),
    }
    return _made("Success", columns, groups, most)


def _values(groups: Sequence[Group], most: int | None) -> Table:
    columns: dict[str, Callable[[Group], Cell]] = {
        "group": lambda group: group.heading,
        "median": lambda group: group.median,
        "95 % of median": lambda group: _interval(group.median_interval, ".3g"),
        "IQM": lambda group: group.interquartile_mean,
        "95 % of IQM": lambda group: _interval(group.interquartile_mean_interval, ".3g"),
    }
    return _made(f"Final {short_name(groups[0].metric)}", columns, groups, most, ".3g")


def _interval(interval: Interval | None, form: str) -> str | None:
    # Once where both ends are written alike, as those of runs that diverged.
    return None if interval is None else " to ".join(dict.fromkeys(map(Column("", form=form).text, interval)))


def _contrasts(contrasts: Sequence[Contrast], most: int | None) -> Table:
    columns: dict[str, Callable[[Contrast], Cell]] = {
        "pair": lambda pair: f"{pair.one.heading} – {pair.other.heading}",
        "p solved": lambda pair: _p(pair.p_holm.get("solved")),
        "p sequences": lambda pair: _p(pair.p_holm.get("sequences")),
        "p values": lambda pair: _p(pair.p_holm.get("values")),
        "above": lambda pair: pair.values.superiority if pair.values else None,
    }
    return _made("Differences", columns, contrasts, most, ".0%")


def _p(p: float | None) -> str | None:
    return None if p is None else p_text(p)


def _pivot(found: Pivot, contrasts: Sequence[Contrast], most: int | None) -> Table:
    two = len(found.columns) == 2
    p_of = {frozenset({one.one.heading, one.other.heading}): one.p_holm.get("solved") for one in contrasts}
    rows: list[list[Cell]] = [
        [
            UNKNOWN if value is None else value_text(value),
            *map(_cell, found.cells[place]),
            *([_p(p_of.get(frozenset(group.heading for group in found.cells[place] if group)))] * two),
        ]
        for place, value in enumerate(found.rows[:most])
    ]
    sums = ["{}/{}".format(*found.solved(place)) for place in range(len(found.columns))]
    rows.append(["all", *sums, *([_p(found.overall[0].p_holm if found.overall else None)] * two)])
    head = [UNKNOWN if value is None else value_label(found.by, value) for value in found.columns]
    title = _title(f"Success by {found.over} and {found.by}", most, len(found.rows), "row")
    return table([found.over, *head, *(["p"] * two)], rows, title)


def _cell(group: Group | None) -> str | None:
    return None if group is None else f"{_solved(group) or UNKNOWN}, {Column('', form='.3g').text(group.median)}"
