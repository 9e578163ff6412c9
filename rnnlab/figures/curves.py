"""The figures of compared runs: a metric during training, and how often a sweep solved its task."""

from collections.abc import Sequence
from math import isfinite

import numpy as np

from rnnlab.comparison import Comparison
from rnnlab.comparison.comparability import Description, describe
from rnnlab.comparison.groups import Group, has_baseline, short_name, value_label
from rnnlab.comparison.statistics import wilson
from rnnlab.core.figure import Axis, Figure, Level, Line, Panel
from rnnlab.core.table import Table, table
from rnnlab.runs.run import Run

_MOST_DRAWN = 60
_MOST_SHOWN = 8  # lines that are shown from the start
_MOST_LEVELS = 3
_LOG_FROM = 20.0  # highest over lowest value
X_AXES = {"step": "training step", "sequences": "training sequences", "seconds": "seconds of training"}


def curves(comparison: Comparison, x: str = "step") -> Figure | None:
    """Return a metric during training, a line per run or group of seeds; None where no run recorded a value.

    Args:
        comparison: The runs.
        x: Key of `X_AXES`; seeds of a group share their steps alone, so over anything else each run has its own line.
    """
    if x == "step":
        shown = _shown(comparison)
        groups = [*shown, *(group for group in comparison.groups[:_MOST_DRAWN] if group not in shown)]
        lines = [_of_group(group, place, shown=group in shown) for place, group in enumerate(groups)]
        runs = [one for group in shown for one in group.results]
    else:
        runs = list(comparison.results[:_MOST_SHOWN])
        lines = [_of_run(comparison.headings[one.name], one, comparison.metric, x, n) for n, one in enumerate(runs)]
    lines = [line for line in lines if len(line.x)]
    if not lines:
        return None
    task = describe(runs) if has_baseline(comparison.metric) else None
    levels = _levels(comparison, runs, task)
    has_bands = any(line.low is not None for line in lines)
    solved = [] if has_bands else _solved(runs, x)
    metric = comparison.metric.replace("/", " ")
    panel = Panel(
        Axis(X_AXES[x]),
        Axis(f"{metric}: {task.loss}" if task else metric, log=_spans_decades(lines, levels)),
        lines,
        levels=[*levels, *solved],
        note="band: range of the seeds" if has_bands else "",
    )
    caption = [
        *(["The line is the median of the seeds, the band the range from the best to the worst."] if has_bands else []),
        *(["The dotted line is the best loss that is possible without memory."] if levels else []),
        *(["The dash-dotted lines show what a little memory reaches."] if task and task.references else []),
        *(["A dashed line shows when the task was solved."] if solved else []),
    ]
    return Figure(
        "curves",
        f"{short_name(comparison.metric)} during training".capitalize(),
        " ".join(caption),
        [panel],
        table=_table(lines, X_AXES[x]),
    )


def _shown(comparison: Comparison) -> Sequence[Group]:
    """Return the groups that are shown from the start: of a large pivot those of its last row."""
    pivot = comparison.pivot
    if pivot and len(comparison.groups) > _MOST_SHOWN:
        return pivot.last_row()[:_MOST_SHOWN]
    return comparison.groups[:_MOST_SHOWN]


def _of_group(group: Group, place: int, *, shown: bool) -> Line:
    steps, values = group.curves()
    if not len(steps):
        return Line(group.heading, [], [])
    if len(values) == 1:
        return Line(group.heading, steps, values[0], place, place // 7, shown=shown)
    seeds = f"{group.solved} of {len(values)} seeds solved" if group.decided else f"{len(values)} seeds"
    median, low, high = np.median(values, axis=0), values.min(axis=0), values.max(axis=0)
    return Line(f"{group.heading} ({seeds})", steps, median, place, place // 7, low=low, high=high, shown=shown)


def _of_run(heading: str, run: Run, metric: str, x: str, place: int) -> Line:
    points = [(record.get(x), record[metric]) for record in run.records if metric in record]
    known = [(float(at), float(y)) for at, y in points if isinstance(at, int | float) and isinstance(y, int | float)]
    return Line(heading, [at for at, _ in known], [y for _, y in known], place, place // 7)


def _levels(comparison: Comparison, runs: Sequence[Run], task: Description | None) -> list[Level]:
    """Return the baselines, and below them what a little more memory reaches."""
    baselines = [value for value in dict.fromkeys(map(comparison.baseline, runs)) if value is not None]
    references = task.references if task else ()
    return [
        *(Level(value, f"baseline {value:.3g}") for value in baselines[:_MOST_LEVELS]),
        *(Level(loss, f"{name} {loss:.3g}", dash=3) for name, loss in references[:_MOST_LEVELS]),
    ]


def _solved(runs: Sequence[Run], x: str) -> list[Level]:
    at = [(place, one.summary.solved_at) for place, one in enumerate(runs)]
    values = [(place, float(getattr(progress, x))) for place, progress in at if progress is not None]
    return [Level(value, f"solved at {value:,.6g}", "x", place, 1) for place, value in values]


def _spans_decades(lines: Sequence[Line], levels: Sequence[Level]) -> bool:
    drawn = [float(value) for line in lines if line.shown for value in line.y] + [level.value for level in levels]
    known = [value for value in drawn if isfinite(value)]
    return bool(known) and min(known) > 0 and max(known) / min(known) > _LOG_FROM


def _table(lines: Sequence[Line], x: str) -> Table:
    rows = [[line.name, f"{line.x[-1]:,.6g}", f"{line.y[0]:.4g}", f"{line.y[-1]:.4g}"] for line in lines]
    return table(["runs", f"last {x}", "first value", "last value"], rows)


def success(comparison: Comparison) -> Figure | None:
    """Return the share of runs that solved their task over the rows of the pivot, a line per column; None without."""
    pivot = comparison.pivot
    if pivot is None or len(pivot.rows) < 2:
        return None
    lines, rows = [], []
    for place, value in enumerate(pivot.columns):
        name = "the others" if value is None else value_label(pivot.by, value)
        points = []
        for at, (row, group) in enumerate(zip(pivot.rows, pivot.column(place), strict=True)):
            if group and group.decided:
                solved, count = group.solved, len(group.decided)
                interval = wilson(solved, count)
                points.append((row if pivot.is_ascending else at, solved / count, interval.low, interval.high))
                rows.append([name, f"{row}", f"{solved}/{count}", f"{interval.low:.0%} to {interval.high:.0%}"])
        x, y, low, high = ([point[n] for point in points] for n in range(4))
        lines.append(Line(name, x, y, place, place // 7, place, low, high, bars=True))
    label = "sequence length T, steps" if pivot.over == "shape.timesteps" else pivot.over
    names = [] if pivot.is_ascending else [str(row) for row in pivot.rows]
    over = Axis(label, ticks=range(len(names)), tick_labels=names)
    return Figure(
        "success",
        "How often the task is solved",
        "Each point is the share of seeds with which training solved the task, with Wilson's 95 % interval. A line "
        "that falls shows where a network can no longer learn the task; a flat line shows that it makes no difference.",
        [Panel(over, Axis("share solved", percent=True, limits=(-0.04, 1.04)), lines)],
        table=table([pivot.by, pivot.over, "solved", "95 %"], rows),
    )
