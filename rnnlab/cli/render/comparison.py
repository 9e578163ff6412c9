"""A comparison as a person reads it: what differs, what came out, the curves, the difference in words.

Up to four runs stand beside each other, a column a run, if the terminal is wide enough; more stand below each other,
a row a run, in as many tables as the width asks for. Where they repeat experiments with several seeds, the groups
stand there instead.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rnnlab.cli.render.comparison_groups import rendered
from rnnlab.cli.render.curves import Curve, Level, draw
from rnnlab.cli.render.output import can_show, console, plain_table, show
from rnnlab.cli.render.output import printable as fit
from rnnlab.comparison import Comparison
from rnnlab.comparison.metric import short_name
from rnnlab.runs.run import Run

if TYPE_CHECKING:
    from rich.console import RenderableType

_MOST_COLUMNS = 4
_MOST_CURVES = 8
_GAP = 3  # columns between two cells
_UNKNOWN = "—"

Rows = dict[str, list[str]]


def show_comparison(comparison: Comparison) -> None:
    """Print the comparison on stdout."""
    from rich.text import Text

    width = console().width
    called = [fit(comparison.headings[result.name]) for result in comparison.results]
    parts: list[RenderableType] = []
    if comparison.is_grouped and len(called) > _MOST_COLUMNS:
        curves = [] if len(comparison.results) > _MOST_CURVES else _picture(comparison, called, width)
        show(*rendered(comparison, fit), *curves, Text(fit(comparison.verdict)))
        return
    if comparison.differences:
        parts += _tables("Config differences", _difference_rows(comparison), called, width)
    elif len(called) > 1:
        parts.append(Text("The configs are the same.\n"))
    parts += _tables("Results", _result_rows(comparison), called, width)
    parts += _picture(comparison, called, width)
    show(*parts, Text(fit(comparison.verdict)))


def _difference_rows(comparison: Comparison) -> Rows:
    return {
        fit(key): [_value(row[one.name]) if one.name in row else fit(_UNKNOWN) for one in comparison.results]
        for key, row in comparison.differences.items()
    }


def _value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return fit(str(value))


def _result_rows(comparison: Comparison) -> Rows:
    results = comparison.results
    rows = {
        "state": [_ended(one) for one in results],
        "steps": [_whole(one.summary.steps) for one in results],
        **_metric_rows(comparison),
        "solved": [{None: _UNKNOWN, True: "yes", False: "no"}[one.summary.solved] for one in results],
        "sequences to success": [_whole(one.summary.sequences_to_success) for one in results],
        "seconds to success": [_figure(at.seconds if (at := one.summary.solved_at) else None) for one in results],
        "parameters": [_whole(one.summary.parameters) for one in results],
        "steps per second": [_whole(one.summary.steps_per_second) for one in results],
    }
    return {fit(key): [fit(cell) for cell in cells] for key, cells in rows.items()}


def _metric_rows(comparison: Comparison) -> Rows:
    results = comparison.results
    names = dict.fromkeys(name for one in results for name in one.metrics() if name.startswith("validation/"))
    names = dict.fromkeys([*names, comparison.metric])
    rows: Rows = {}
    for name in names:
        rows[f"{short_name(name)}, final"] = [_last(one, name) for one in results]
        rows[f"{short_name(name)}, best"] = [_figure(one.best(name)) for one in results]
        if name == "validation/loss":
            rows["baseline"] = [_figure(one.summary.baseline) for one in results]
            rows["final / baseline"] = [_figure(_ratio(one.final(name), one.summary.baseline)) for one in results]
            rows["best / baseline"] = [_figure(_ratio(one.best(name), one.summary.baseline)) for one in results]
    return rows


def _ended(result: Run) -> str:
    return result.state if result.summary.stopped == result.state else f"{result.state}: {result.summary.stopped}"


def _last(result: Run, metric: str) -> str:
    value = result.final(metric)
    return "not finite" if value is None and result.curve(metric) else _figure(value)


def _ratio(value: float | None, baseline: float | None) -> float | None:
    return value / baseline if value is not None and baseline else None


def _figure(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.4g}"


def _whole(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:,.0f}"


def _tables(title: str, rows: Rows, called: Sequence[str], width: int) -> "list[RenderableType]":
    wide = {heading: [heading, *(cells[number] for cells in rows.values())] for number, heading in enumerate(called)}
    fits = _width(["", *rows]) + sum(_GAP + _width(cells) for cells in wide.values()) <= width
    if len(called) <= _MOST_COLUMNS and fits:
        return _drawn(title, ["", *rows], list(wide.values()))
    parts = _parts([[_broken(key), *cells] for key, cells in rows.items()], width - _width(called))
    titles = [title, *[""] * (len(parts) - 1)]
    return [piece for name, part in zip(titles, parts, strict=True) for piece in _drawn(name, ["", *called], part)]


def _drawn(title: str, first: Sequence[str], columns: Sequence[Sequence[str]]) -> "list[RenderableType]":
    """Return a table from its columns, the head of each first, and an empty line."""
    from rich.text import Text

    heads = [column[0] for column in columns]
    table = plain_table(first[0], *heads, numbers=tuple(heads))
    for number, name in enumerate(first[1:], start=1):
        table.add_row(Text(name), *(Text(column[number]) for column in columns))
    # Not as the table's own title, which is folded to the table's width.
    return [*([Text(title)] if title else []), table, Text("")]


def _parts(columns: Sequence[list[str]], room: int) -> list[list[list[str]]]:
    """Return the columns in groups that fit into `room`, at least one column a group."""
    parts: list[list[list[str]]] = [[]]
    left = room
    for column in columns:
        needed = _GAP + _width(column)
        if parts[-1] and needed > left:
            parts.append([])
            left = room
        parts[-1].append(column)
        left -= needed
    return parts


_BREAKS = ((".", ".\n"), (", ", "\n"), (" to ", "\nto "), (" per ", "\nper "), (" / ", " /\n"))


def _broken(key: str) -> str:
    """Return a heading in short lines."""
    for space, broken in _BREAKS:
        key = key.replace(space, broken)
    return key


def _width(cells: Sequence[str]) -> int:
    from rich.cells import cell_len

    return max(cell_len(line) for cell in cells for line in cell.split("\n"))


def _picture(comparison: Comparison, called: Sequence[str], width: int) -> "list[RenderableType]":
    from rich.text import Text

    results, metric = comparison.results, comparison.metric
    curves = [Curve(name, one.curve(metric)) for name, one in zip(called, results, strict=True)][:_MOST_CURVES]
    baselines = dict.fromkeys(comparison.baseline(one) for one in results[:_MOST_CURVES])
    lines = draw(
        curves,
        y_label=fit(metric),
        levels=[Level(f"baseline {value:.4g}", value) for value in baselines if value is not None],
        width=width,
        braille=can_show("⣿"),
        may_log=metric.endswith("loss"),
    )
    if lines and len(results) > _MOST_CURVES:
        lines.append(Text(f"The first {_MOST_CURVES} of {len(results)} runs are drawn."))
    return [*lines, Text("")] if lines else []
