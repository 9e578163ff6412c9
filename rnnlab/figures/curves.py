"""The metric during training: a line a run, or the median and the range of the seeds of a group."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnlab.comparison import Comparison, Result
from rnnlab.comparison.curves import together
from rnnlab.comparison.groups import Group
from rnnlab.comparison.metric import has_baseline, short_name
from rnnlab.comparison.question import Question, question_of
from rnnlab.figures.figure import DASHES, GREY, named, style, text

_MOST = 12  # lines that can be told apart
_MOST_RUNGS = 3
_LOG_FROM = 20.0
_UNITS = {"step": "training step", "sequences": "training sequences", "seconds": "seconds of training"}


def draw_curves(figure: Any, comparison: Comparison, x: str = "step") -> None:
    """Draw the metric of a comparison.

    Args:
        figure: matplotlib's.
        comparison: The runs.
        x: `step`, `sequences` or `seconds`; groups of several seeds are drawn together over steps alone.
    """
    axes = figure.subplots()
    drawn: list[float] = []
    by_group = x == "step" and any(len(group.results) > 1 for group in comparison.groups)
    shown = _lines(comparison, by_group=by_group)
    for place, (name, group) in enumerate(shown):
        colour = style(place)
        if by_group:
            drawn += _group(axes, text(name), group, colour)
        else:
            drawn += _run(axes, text(name), group.results[0], comparison.metric, x, colour)
    results = [one for _, group in shown for one in group.results]
    for value in list(dict.fromkeys(comparison.baseline(one) for one in results))[:3]:
        if value is not None:
            label = f"baseline {value:.3g}"
            axes.axhline(value, color=GREY, linestyle=":", linewidth=1.4, zorder=3, label=label)
            drawn.append(value)
    question = question_of(results) if has_baseline(comparison.metric) else None
    drawn += _rungs(axes, question)
    known = [value for value in drawn if np.isfinite(value)]
    if known and min(known) > 0 and max(known) / min(known) > _LOG_FROM:
        axes.set_yscale("log")
    axes.set_xlabel(_UNITS[x])
    axes.set_ylabel(text(comparison.metric.replace("/", " ") + (f": {question.loss}" if question else "")))
    axes.set_title(text(f"{short_name(comparison.metric)} during training"), loc="left")
    if by_group:
        axes.plot([], [], " ", label="band: range of the seeds")
    axes.legend()


def _rungs(axes: Any, question: Question | None) -> list[float]:
    """Draw the rungs of the ladder, each what a little more memory would reach."""
    rungs = question.references[:_MOST_RUNGS] if question else ()
    for name, loss in rungs:
        axes.axhline(loss, color=GREY, linestyle="-.", linewidth=0.9)
        named(axes, name, loss)
    return [loss for _, loss in rungs]


def _lines(comparison: Comparison, *, by_group: bool) -> Sequence[tuple[str, Group]]:
    if by_group:
        return [(group.heading, group) for group in _chosen(comparison)]
    return [
        (comparison.headings[one.name], Group("", {}, (one,), comparison.metric)) for one in comparison.results[:_MOST]
    ]


def _chosen(comparison: Comparison) -> Sequence[Group]:
    """Return the groups that can be told apart: of a table the last row."""
    table = comparison.pivot
    if table and len(comparison.groups) > _MOST:
        last = (table.cells.get((len(table.rows) - 1, column)) for column in range(len(table.columns)))
        return [group for group in last if group][:_MOST]
    return comparison.groups[:_MOST]


def _group(axes: Any, name: str, group: Group, colour: dict[str, Any]) -> list[float]:
    steps, values = together(group)
    if not len(steps):
        return []
    median = np.median(values, axis=0)
    axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour["color"], alpha=0.18, linewidth=0)
    seeds = f"{group.solved} of {len(values)} seeds solved" if group.decided else f"{len(values)} seeds"
    axes.plot(steps, median, label=f"{name} ({seeds})", **colour)
    return [float(value) for value in values.ravel()]


def _run(axes: Any, name: str, run: Result, metric: str, x: str, colour: dict[str, Any]) -> list[float]:
    points = [(record.get(x), record[metric]) for record in run.records if metric in record]
    known = [(float(at), float(y)) for at, y in points if isinstance(at, int | float) and isinstance(y, int | float)]
    if not known:
        return []
    if run.solved_at is not None:
        where = float(getattr(run.solved_at, x))
        axes.axvline(where, color=colour["color"], linestyle=DASHES[2], linewidth=1.2)
        name = f"{name}, solved at {where:,.4g}" if x == "seconds" else f"{name}, solved at {where:,.0f}"
    axes.plot([at for at, _ in known], [y for _, y in known], label=name, **colour)
    return [y for _, y in known]
