"""The metric during training: a line a run, or the median and the range of the seeds of a group."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnlab.analysis import Comparison, Result
from rnnlab.analysis.comparability import one_definition
from rnnlab.analysis.configured import read_configured
from rnnlab.analysis.curves import together
from rnnlab.analysis.groups import Group
from rnnlab.analysis.metric import has_baseline, short_name
from rnnlab.core.errors import RnnlabError
from rnnlab.plots.figure import COLOURS, DASHES, GREY, style, text
from rnnlab.runs import RunFolder

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
    for place, (name, group) in enumerate(_lines(comparison, by_group=by_group)):
        colour = style(place)
        if by_group:
            drawn += _group(axes, text(name), group, colour)
        else:
            drawn += _run(axes, text(name), group.results[0], comparison.metric, x, colour)
    baselines = dict.fromkeys(comparison.baseline(one) for one in comparison.results[:_MOST])
    for value in list(baselines)[:3]:
        if value is not None:
            axes.axhline(value, color=GREY, linestyle=":", linewidth=1.4, label=f"baseline {value:.3g}")
            drawn.append(value)
    drawn += _rungs(axes, comparison)
    known = [value for value in drawn if np.isfinite(value)]
    if known and min(known) > 0 and max(known) / min(known) > _LOG_FROM:
        axes.set_yscale("log")
    axes.set_xlabel(_UNITS[x])
    axes.set_ylabel(text(f"{comparison.metric}"))
    axes.set_title(text(f"{short_name(comparison.metric)} during training"), loc="left")
    if by_group:
        axes.plot([], [], " ", label="band: range of the seeds")
    axes.legend()


def _rungs(axes: Any, comparison: Comparison) -> list[float]:
    """Draw the rungs of the ladder, of runs that all did one task; each is what a little more memory would reach."""
    if not (has_baseline(comparison.metric) and one_definition(comparison.results)):
        return []
    try:
        rungs = read_configured(RunFolder(comparison.results[0].path)).rungs()[:_MOST_RUNGS]
    except RnnlabError:
        return []
    for name, loss in rungs:
        axes.axhline(loss, color=GREY, linestyle="-.", linewidth=0.9)
        axes.annotate(
            text(name),
            (0.995, loss),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=7,
            color=GREY,
        )
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
    axes.plot(steps, median, label=f"{name} ({len(values)} seeds)", **colour)
    return [float(value) for value in values.ravel()]


def _run(axes: Any, name: str, run: Result, metric: str, x: str, colour: dict[str, Any]) -> list[float]:
    points = [(record.get(x), record[metric]) for record in run.records if metric in record]
    known = [(float(at), float(y)) for at, y in points if isinstance(at, int | float) and isinstance(y, int | float)]
    if not known:
        return []
    axes.plot([at for at, _ in known], [y for _, y in known], label=name, **colour)
    if run.solved_at is not None:
        where = float(getattr(run.solved_at, x))
        axes.axvline(where, color=colour["color"], linestyle=DASHES[2], linewidth=1)
        axes.annotate(
            "solved", (where, 1.0), xycoords=("data", "axes fraction"), rotation=90, va="top", ha="right", fontsize=8,
            color=colour["color"] if colour["color"] in COLOURS else None,
        )  # fmt: skip
    return [y for _, y in known]
