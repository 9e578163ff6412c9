"""The figures of compared runs: a metric during training, and how often a sweep solved its task."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from rnnlab.comparison import Comparison
from rnnlab.comparison.comparability import Description, describe
from rnnlab.comparison.groups import Group, has_baseline, short_name, value_label
from rnnlab.core.figure import Axis, Figure, Level, Line, Panel, Scale
from rnnlab.core.table import Table, table
from rnnlab.runs.run import Run

_MOST_DRAWN = 60
_MOST_SHOWN = 20  # lines that are shown from the start
_MOST_PANELS = 6
_MOST_TICKS = 12
_FEWEST_SHADES = 3  # values for which colours are shades
_MOST_LEVELS = 3
_MOST_SOLVED = 8  # runs of which it is marked when they solved the task
_LOG_FROM = 20.0  # highest over lowest value
X_AXES = {"step": "training step", "sequences": "training sequences", "seconds": "training time, s"}


def curves(comparison: Comparison, x: str = "step") -> Figure | None:
    """Return a metric during training, a line per run or group of seeds; None where no run recorded a value.

    Groups that differ in a number have its shades as colours, and a panel for each combination of what else differs.

    Args:
        comparison: The runs.
        x: Key of `X_AXES`; seeds of a group share their steps alone, so over anything else each run has its own line.
    """
    parts, scale = _parts(comparison)
    shown = _shown(comparison) if scale is None else comparison.groups
    made: dict[str, list[Line]] = {}
    for title, groups in parts.items():
        colours = [
            (group, place if scale is None else scale.colour(value)) for place, (group, value) in enumerate(groups)
        ]
        lines = [line for group, colour in colours for line in _lines(comparison, group, colour, x, shown)]
        if lines := [line for line in lines if len(line.x)]:
            made[title] = lines
    every = [line for lines in made.values() for line in lines]
    if not every:
        return None
    runs = [run for group in shown for run in group.results]
    task = describe(runs) if has_baseline(comparison.metric) else None
    levels = _levels(comparison, runs, task)
    has_bands = any(line.low is not None for line in every)
    is_median = x == "step" and any(len(group.results) > 1 for group in comparison.groups)
    solved = _solved(runs, x) if len(runs) <= _MOST_SOLVED and scale is None and not has_bands else []
    metric = comparison.metric.replace("/", " ")
    is_log = _spans_decades(every, levels)
    several = len(made) > 1  # the same axes, to be compared
    x_axis = Axis(X_AXES[x], limits=_around(every, levels, "x") if several else None)
    y_label = f"{metric}: {task.loss}" if task else metric
    y_axis = Axis(y_label, log=is_log, limits=_around(every, levels, "y", log=is_log) if several else None)
    note = "band: range of the seeds" if has_bands else ""
    sentences = {
        "The line is the median of the seeds.": is_median and not has_bands,
        "The line is the median of the seeds, the band the range from the best to the worst.": has_bands,
        f"The colour is {scale.label if scale else ''}.": scale,
        "The dotted line is the baseline, the loss of the best predictor without memory.": levels,
        "The dash-dotted lines show what a little memory reaches.": task and task.references,
        "A dashed line shows when the task was solved.": solved,
    }
    left_out = sum(len(groups) for groups in parts.values()) - len(comparison.groups)
    return Figure(
        "curves",
        f"{short_name(comparison.metric)} during training".capitalize(),
        " ".join(text for text, is_true in sentences.items() if is_true),
        [
            Panel(x_axis, y_axis, _under(title, lines), levels=[*levels, *solved], scale=scale, title=title, note=note)
            for title, lines in made.items()
        ],
        table=_table(every, X_AXES[x]),
        note=f"{-left_out:,} of {len(comparison.groups):,} groups are left out" if left_out else "",
    )


def _under(title: str, lines: Sequence[Line]) -> list[Line]:
    """Return lines whose names do not repeat the title of their panel."""
    return [replace(line, name=line.name.removeprefix(f"{title} ")) for line in lines] if title else list(lines)


def _parts(comparison: Comparison) -> tuple[dict[str, list[tuple[Group, float]]], Scale | None]:
    """Return the groups of each panel, each with the number in which it differs, and what its colour means.

    Without such a number, or where there would be too many panels, all are in one panel and there is no scale.
    """
    groups, pivot = comparison.groups, comparison.pivot
    sizes = {key: _numbers(groups, key) for key in dict.fromkeys(key for group in groups for key in group.values)}
    keys = [key for key, values in sizes.items() if len(values) >= _FEWEST_SHADES]
    if keys and len(groups) <= _MOST_DRAWN:
        over = pivot.over if pivot and pivot.over in keys else max(keys, key=lambda key: len(sizes[key]))
        others = [pivot.by] if pivot and pivot.over == over else [key for key in sizes if key != over]
        parts: dict[str, list[tuple[Group, float]]] = {}
        for group in groups:
            title = " ".join(value_label(key, group.values[key]) for key in others if key in group.values)
            parts.setdefault(title, []).append((group, float(group.values[over])))
        if len(parts) <= _MOST_PANELS:
            low, *_, high = values = sizes[over]
            label = "sequence length T, steps" if over == "shape.timesteps" else over
            is_log = low > 0 and high / low > _LOG_FROM
            return parts, Scale(label, low, high, log=is_log, ticks=values if len(values) <= _MOST_TICKS else ())
    drawn = [*_shown(comparison), *(group for group in groups if group not in _shown(comparison))]
    return {"": [(group, 0.0) for group in drawn[:_MOST_DRAWN]]}, None


def _numbers(groups: Sequence[Group], key: str) -> list[float]:
    """Return the values of a key, ascending; none where one is no number."""
    values = {group.values.get(key) for group in groups if not isinstance(group.values.get(key), list | dict)}
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return sorted(numbers) if len(numbers) == len(values) else []


def _shown(comparison: Comparison) -> Sequence[Group]:
    """Return the groups that are shown from the start: of a large pivot those of its last row."""
    pivot = comparison.pivot
    if pivot and len(comparison.groups) > _MOST_SHOWN:
        return pivot.last_row()[:_MOST_SHOWN]
    return comparison.groups[:_MOST_SHOWN]


def _lines(comparison: Comparison, group: Group, colour: int | str, x: str, shown: Sequence[Group]) -> list[Line]:
    look: Any = {"colour": colour, "dash": colour // 7 if isinstance(colour, int) else 0, "shown": group in shown}
    if x == "step":
        line = _of_group(comparison.heading(group), group, look)
        return [line if isinstance(colour, int) else replace(line, low=None, high=None)]  # bands would hide each other
    return [_of_run(comparison.headings[run.name], run, comparison.metric, x, look) for run in group.results]


def _around(lines: Sequence[Line], levels: Sequence[Level], axis: str, *, log: bool = False) -> tuple[float, float]:
    """Return the ends of an axis that shows all lines, and of the y axis the levels."""
    values = [float(value) for line in lines for value in (line.x if axis == "x" else line.y)]
    values += [level.value for level in levels if level.axis == axis]
    known = [value for value in values if isfinite(value) and (value > 0 or not log)]
    low, high = min(known), max(known)
    if log:
        return low / (high / low) ** 0.05, high * (high / low) ** 0.05
    room = 0.04 * (high - low) or 0.5
    return low - room, high + room


def _of_group(heading: str, group: Group, look: Mapping[str, Any]) -> Line:
    steps, values = group.curves()
    if len(values) < 2:
        return Line(heading, steps, values[0] if len(values) else [], **look)
    seeds = f"{group.solved} of {len(values)} seeds solved" if group.decided else f"{len(values)} seeds"
    median, low, high = np.median(values, axis=0), values.min(axis=0), values.max(axis=0)
    return Line(f"{heading} ({seeds})", steps, median, low=low, high=high, **look)


def _of_run(heading: str, run: Run, metric: str, x: str, look: Mapping[str, Any]) -> Line:
    points = [(record.get(x), record[metric]) for record in run.records if metric in record]
    known = [(float(at), float(y)) for at, y in points if isinstance(at, int | float) and isinstance(y, int | float)]
    return Line(heading, [at for at, _ in known], [y for _, y in known], **look)


def _levels(comparison: Comparison, runs: Sequence[Run], task: Description | None) -> list[Level]:
    """Return the baselines, and below them what a little more memory reaches."""
    baselines = [value for value in dict.fromkeys(map(comparison.baseline, runs)) if value is not None]
    references = task.references if task else ()
    if len(baselines) > _MOST_LEVELS:  # of many lengths
        lowest, highest = min(baselines), max(baselines)
        return [Level(lowest, f"lowest baseline {lowest:.3g}"), Level(highest, f"highest baseline {highest:.3g}")]
    return [
        *(Level(value, f"baseline {value:.3g}") for value in baselines),
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
            if group and (interval := group.solved_interval):
                solved, count = group.solved, len(group.decided)
                points.append((row if pivot.is_ascending else at, solved / count, interval.low, interval.high))
                rows.append([name, f"{row}", f"{solved}/{count}", f"{interval.low:.0%} to {interval.high:.0%}"])
        x, y, low, high = ([point[n] for point in points] for n in range(4))
        if x:
            lines.append(Line(name, x, y, place, place // 7, place, low, high, bars=True))
    if not lines:
        return None
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
