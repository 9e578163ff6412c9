"""Curves in the terminal: braille dots in colour, a letter on every curve; ASCII where there is no braille."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_letters
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.cli.render.axes import EDGE, GUTTER, Frame, with_y_axis, x_axis

if TYPE_CHECKING:
    from rich.text import Text

Array = NDArray[np.float64]

_COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "red")
_LETTER_EVERY = 16  # columns
_LARGEST = 1e300  # the distance between two larger numbers may not be finite
_LOG_FROM = 20.0  # highest over lowest value


@final
@dataclass(frozen=True)
class Curve:
    """Points to be joined.

    Args:
        label: What the legend calls it.
        points: (x, y), x whole and ascending; y is None where it was not finite, which leaves a gap.
    """

    label: str
    points: Sequence[tuple[int, float | None]]


@final
@dataclass(frozen=True)
class Level:
    """A value to be beaten, drawn as a dashed line.

    Args:
        label: What the legend calls it.
        value: Where it lies on the y axis.
    """

    label: str
    value: float


def draw(
    curves: Sequence[Curve],
    *,
    y_label: str,
    levels: Sequence[Level] = (),
    x_label: str = "step",
    width: int = 80,
    height: int = 14,
    braille: bool = True,
    may_log: bool = False,
) -> "list[Text]":
    """Return the lines of a picture with axes and a legend; none where no curve has a point.

    Args:
        curves: Drawn in this order, each with its own letter and colour.
        y_label: What the y axis measures.
        levels: Dashed lines.
        x_label: What the x axis measures.
        width: Columns of the whole picture, at least 40.
        height: Rows of the canvas, at least 4.
        braille: Draw with braille characters; else with letters, in pure ASCII.
        may_log: Use a logarithmic y axis where the values are positive and span a factor of more than 20.
    """
    from rich.text import Text

    values = [y for curve in curves for _, y in curve.points if y is not None and abs(y) <= _LARGEST]
    if not values:
        return []
    first, last = _span([x for curve in curves for x, _ in curve.points])
    shown = values + [level.value for level in levels]
    logarithmic = may_log and min(shown) > 0 and max(shown) / min(shown) > _LOG_FROM
    frame = Frame(
        x=(first, max(last, first + 1)),
        y=_widened(*_span([math.log10(value) if logarithmic else value for value in shown])),
        columns=width - GUTTER - EDGE,
        rows=height,
        logarithmic=logarithmic,
    )
    rows = _canvas(frame, curves, levels, braille=braille)
    scale = ", log scale" if logarithmic else ""
    lines = [Text(f"{y_label} over {x_label}s{scale}"), *with_y_axis(frame, rows, braille=braille)]
    lines += [Text(line) for line in x_axis(frame, x_label, braille=braille)]
    return lines + _legend(curves, levels, width, braille=braille)


def _canvas(frame: Frame, curves: Sequence[Curve], levels: Sequence[Level], *, braille: bool) -> "list[Text]":
    from plotille import Canvas
    from rich.text import Text

    right, top = frame.beyond
    canvas = Canvas(frame.columns, frame.rows, xmin=frame.x[0], xmax=right, ymin=frame.y[0], ymax=top)
    for level in levels:
        _dashes(canvas, frame, frame.height(level.value), marker=None if braille else "-")
    lines = [_heights(frame, curve) for curve in curves]
    if braille:
        for (x, y), colour in zip(lines, _cycle(len(curves)), strict=True):
            _join(canvas, *_thinned(x, y, frame), colour=colour)
    _letters(canvas, frame, lines, everywhere=not braille)
    # Blanks of braille are blanks, to a reader and to a search.
    return [Text.from_ansi(row.replace("\u2800", " ")) for row in canvas.plot(linesep="\n").split("\n")]


def _heights(frame: Frame, curve: Curve) -> tuple[Array, Array]:
    """Return x and height of the points; NaN where there is none to draw."""
    heights = [math.nan if y is None or abs(y) > _LARGEST else frame.height(y) for _, y in curve.points]
    return np.array([x for x, _ in curve.points], np.float64), np.array(heights, np.float64)


def _thinned(x: Array, y: Array, frame: Frame) -> tuple[Array, Array]:
    """Return at most the lowest and the highest point of each dot's width: no more can be seen."""
    dots = 2 * frame.columns
    if len(x) <= 2 * dots:
        return x, y
    kept: list[int] = []
    for part in np.array_split(np.arange(len(x)), dots):
        known = part[~np.isnan(y[part])]
        ends = [known[np.argmin(y[known])], known[np.argmax(y[known])]] if len(known) else [part[0]]
        kept += sorted({int(index) for index in ends})
    return x[kept], y[kept]


def _join(canvas: Any, x: Array, y: Array, *, colour: str) -> None:
    for index in np.flatnonzero(~np.isnan(y)):
        canvas.point(x[index], y[index], color=colour)
        if index and not np.isnan(y[index - 1]):
            canvas.line(x[index - 1], y[index - 1], x[index], y[index], color=colour)


def _dashes(canvas: Any, frame: Frame, height: float, *, marker: str | None) -> None:
    for column in range(0, frame.columns, 2):
        start = frame.left(column)
        if marker:
            canvas.point(start, height, marker=marker)
        else:
            canvas.line(start, height, start + frame.dot[0], height)


def _letters(canvas: Any, frame: Frame, lines: Sequence[tuple[Array, Array]], *, everywhere: bool) -> None:
    """Put each curve's letter on it here and there, in turn; or everywhere, so that the letters are the curve."""
    count = len(lines)
    heights = [_at_columns(frame, x, y) for x, y in lines]
    ends = [_end(frame, x[~np.isnan(y)]) for x, y in lines]
    for column in range(frame.columns):
        # The last one drawn hides the others, so it is another one at each column.
        for number in ((column + turn) % count for turn in range(count)):
            here = (column + 2 + number * _LETTER_EVERY // count) % _LETTER_EVERY == 0 or column == ends[number]
            if (here or everywhere) and not math.isnan(heights[number][column]):
                _put(canvas, frame.left(column), heights[number][column], number)


def _end(frame: Frame, x: Array) -> int | None:
    return frame.column(float(x[-1])) if len(x) else None


def _put(canvas: Any, x: float, y: float, number: int) -> None:
    canvas.point(x, y, color=_COLOURS[number % len(_COLOURS)], marker=ascii_letters[number])


def _at_columns(frame: Frame, x: Array, y: Array) -> Array:
    """Return the height of a curve at each column; NaN beyond its ends and in its gaps."""
    if not len(x):
        return np.full(frame.columns, math.nan)
    columns = [frame.left(column) for column in range(frame.columns)]
    heights: Array = np.interp(columns, x, y, left=math.nan, right=math.nan)
    known = np.flatnonzero(~np.isnan(y))
    for end in (*known[:1], *known[-1:]):  # a short curve may lie between two columns and still is to be seen
        heights[frame.column(x[end])] = y[end]
    return heights


def _legend(curves: Sequence[Curve], levels: Sequence[Level], width: int, *, braille: bool) -> "list[Text]":
    from rich.text import Text

    entries = [
        Text(f"{letter} {curve.label}" + ("" if curve.points else " (no record)"), style=colour)
        for letter, colour, curve in zip(ascii_letters, _cycle(len(curves)), curves, strict=False)
    ]
    entries += [Text(f"{'┄┄' if braille else '- -'} {level.label}") for level in levels]
    lines = [Text(" " * GUTTER)]
    for entry in entries:
        if len(lines[-1].plain.strip()) and lines[-1].cell_len + 2 + entry.cell_len > width:
            lines.append(Text(" " * GUTTER))
        lines[-1].append("  ").append_text(entry)
    return lines


def _cycle(count: int) -> list[str]:
    return [_COLOURS[number % len(_COLOURS)] for number in range(count)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _widened(low: float, high: float) -> tuple[float, float]:
    """Return the limits, apart even where all values are the same."""
    if high - low > 1 / _LARGEST:
        return low, high
    room = abs(low) * 0.1 or 0.5
    return low - room, high + room
