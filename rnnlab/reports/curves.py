"""Charts of what runs came to: success against a swept key, and the metric as training went on."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnnlab.comparison import Comparison
from rnnlab.comparison.curves import together
from rnnlab.comparison.groups import Group, told_value
from rnnlab.comparison.metric import has_baseline, short_name
from rnnlab.comparison.pivot import Pivot
from rnnlab.comparison.question import question_of
from rnnlab.comparison.statistics import wilson
from rnnlab.core.text import visible
from rnnlab.reports.chart import COLOURS, DASHES, SYMBOLS, Chart, band, line, told

_MOST_DRAWN = 60
_MOST_RUNGS = 3
_AFTER = 1001  # in the legend, after what is drawn
_MOST_SHOWN = 8  # lines that are there from the start; the others a click on the legend away


def charts_of(comparison: Comparison) -> Iterator[Chart]:
    """Yield the charts that tell of results."""
    if comparison.pivot and len(comparison.pivot.rows) > 1:
        yield success(comparison.pivot)
    chart = curves(comparison)
    if chart:
        yield chart


def success(table: Pivot) -> Chart:
    """Return the share of runs that solved their task against the rows of a table, a line a column."""
    traces, rows = [], []
    for place, value in enumerate(table.columns):
        name = visible(_named(table.by, value))
        groups = [
            (row, group) for row, group in zip(table.rows, table.column(place), strict=True) if group and group.decided
        ]
        shares = [group.solved / len(group.decided) for _, group in groups]
        intervals = [wilson(group.solved, len(group.decided)) for _, group in groups]
        traces.append(
            line(
                name,
                [row for row, _ in groups],
                shares,
                place,
                mode="lines+markers",
                marker={"size": 9, "symbol": SYMBOLS[place % len(SYMBOLS)]},
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [interval.high - share for interval, share in zip(intervals, shares, strict=True)],
                    "arrayminus": [share - interval.low for interval, share in zip(intervals, shares, strict=True)],
                    "thickness": 1,
                },
                text=[f"{group.solved} of {len(group.decided)}" for _, group in groups],
                hovertemplate="%{text} solved at %{x}<extra>" + _inert(name) + "</extra>",
            )
        )
        rows += [
            [name, told(row), f"{group.solved}/{len(group.decided)}", f"{low:.0%} to {high:.0%}"]
            for (row, group), (low, high) in zip(groups, intervals, strict=True)
        ]
    over = "sequence length T, steps" if table.over == "shape.timesteps" else visible(table.over)
    return Chart(
        name="success",
        title="How often the task is solved",
        caption="Each point: the share of seeds with which training solved the task, with Wilson's 95 % interval. A "
        "line that falls shows where a network can no longer learn the task; a flat one, that it makes no difference.",
        traces=traces,
        x={"title": {"text": over}},
        y={"title": {"text": "share solved"}, "range": [-0.04, 1.04], "tickformat": ".0%"},
        head=[visible(table.by), visible(table.over), "solved", "95 %"],
        rows=rows,
    )


def curves(comparison: Comparison) -> Chart | None:
    """Return the metric over the steps: the median of a group, with the range of its runs; None where none is known."""
    groups = _drawn(comparison)
    traces: list[dict[str, Any]] = []
    rows: list[list[str]] = []
    ends = [0]
    shown = _shown(comparison, groups)
    groups = [*shown, *(group for group in groups if group not in shown)]  # the first have the plainest colours
    for place, group in enumerate(groups):
        steps, values = together(group)
        if not len(steps):
            continue
        ends.append(int(steps[-1]))
        name = visible(group.heading)
        is_shown = group in shown
        kept: dict[str, Any] = {"legendgroup": str(place), "visible": True if is_shown else "legendonly"}
        kept |= {} if is_shown else {"legendrank": _AFTER}
        median = np.median(values, axis=0)
        if len(group.results) > 1:
            traces.append(band(steps, values.min(axis=0), values.max(axis=0), place, **kept))
        traces.append(
            line(
                name,
                steps,
                median,
                place,
                hovertemplate="step %{x}: %{y:.4g}<extra>" + _inert(name) + "</extra>",
                **kept,
            )
        )
        rows.append(
            [name, str(len(group.results)), told(int(steps[-1])), told(float(median[0])), told(float(median[-1]))]
        )
    if not traces:
        return None
    baselines = dict.fromkeys(group.results[0].baseline for group in groups) if has_baseline(comparison.metric) else {}
    traces += [
        line(f"baseline {value:.4g}", [0, max(ends)], [value, value], 6, hoverinfo="skip")
        | {"line": {"color": COLOURS[6], "dash": DASHES[2], "width": 2}}
        for value in list(baselines)[:3]
        if value is not None
    ]
    question = question_of([one for group in shown for one in group.results]) if baselines else None
    traces += [
        line(f"{visible(name)} {loss:.4g}", [0, max(ends)], [loss, loss], 6, hoverinfo="skip")
        | {"line": {"color": COLOURS[6], "dash": DASHES[3], "width": 1}}
        for name, loss in (question.references if question else ())[:_MOST_RUNGS]
    ]
    metric = visible(short_name(comparison.metric))
    caption = "Click a name in the legend to show or hide it, drag to zoom, double-click to zoom out."
    if any(len(group.results) > 1 for group in groups):
        caption = f"The line is the median of the seeds, the band the range from the best to the worst. {caption}"
    if question and question.references:
        caption = f"The dash-dotted line is what a little memory would reach. {caption}"
    if baselines:
        caption = f"The dotted line is the best that is possible without memory. {caption}"
    return Chart(
        name="curves",
        title=f"Validation {metric} during training",
        caption=caption,
        traces=traces,
        x={"title": {"text": "training step"}},
        y={"title": {"text": question.loss if question else metric}, "type": "linear", "exponentformat": "power"},
        head=["group", "runs", "last step", "first value", "last value"],
        rows=rows,
        may_log=bool(rows) and all(min(_numbers(trace["y"]), default=0) > 0 for trace in traces),
    )


def _drawn(comparison: Comparison) -> Sequence[Group]:
    return comparison.groups[:_MOST_DRAWN]


def _shown(comparison: Comparison, groups: Sequence[Group]) -> Sequence[Group]:
    """Return the groups whose curves are there from the start: of a table, those of its last row."""
    table = comparison.pivot
    if table and len(groups) > _MOST_SHOWN:
        last = [table.cells.get((len(table.rows) - 1, place)) for place in range(len(table.columns))]
        return [group for group in last if group]
    return groups[:_MOST_SHOWN]


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in values if value is not None]


def _named(key: str, value: Any) -> str:
    return "the rest" if value is None else told_value(key, value)


def _inert(text: str) -> str:
    """Return text in which plotly.js finds neither a tag nor a variable."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "% {")
