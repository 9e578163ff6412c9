"""The figure of a sweep: how often the task is solved, over the key in the rows of its table."""

from rnnlab.comparison import Comparison
from rnnlab.comparison.groups import value_label
from rnnlab.comparison.statistics.estimates import wilson
from rnnlab.core.figure import Axis, Figure, Line, Panel
from rnnlab.core.table import table


def success(comparison: Comparison) -> Figure | None:
    """Return the share of runs that solved their task over the rows of the pivot, a line per column; None without."""
    pivot = comparison.pivot
    if pivot is None or len(pivot.rows) < 2:
        return None
    lines, rows = [], []
    for place, value in enumerate(pivot.columns):
        name = "the others" if value is None else value_label(pivot.by, value)
        groups = [
            (row, group) for row, group in zip(pivot.rows, pivot.column(place), strict=True) if group and group.decided
        ]
        intervals = [wilson(group.solved, len(group.decided)) for _, group in groups]
        lines.append(
            Line(
                name,
                [float(pivot.rows.index(row)) if not pivot.is_ascending else row for row, _ in groups],
                [group.solved / len(group.decided) for _, group in groups],
                place,
                place // 7,
                marker=place,
                low=[interval.low for interval in intervals],
                high=[interval.high for interval in intervals],
                bars=True,
            )
        )
        rows += [
            [name, f"{row}", f"{group.solved}/{len(group.decided)}", f"{interval.low:.0%} to {interval.high:.0%}"]
            for (row, group), interval in zip(groups, intervals, strict=True)
        ]
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
