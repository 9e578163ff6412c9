"""Curves in the terminal: braille dots in colour, a letter on every curve; ASCII where there is no braille."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from string import ascii_letters
from typing import final

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from rnnlab.cli.render.output import can_show, console, printable
from rnnlab.core.figure import Line, Panel

Array = NDArray[np.float64]
Dots = NDArray[np.bool_]

_COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "red")
_LETTER_EVERY = 16  # columns
_LARGEST = 1e300  # the distance between two larger numbers may not be finite
_LOG_FROM = 20.0  # highest over lowest value
_GUTTER = 9  # columns for the numbers beside the y axis
_EDGE = 2  # columns for the axis itself
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # of the dots in U+2800 to U+28FF


@final
@dataclass(frozen=True)
class _Frame:
    """What the canvas covers: the ends of its axes, different, as powers of ten where y is logarithmic; its characters.

    A character of braille has 2 dots from left to right and 4 from top to bottom, another is one dot.
    """

    x: tuple[int, int]
    y: tuple[float, float]
    columns: int
    rows: int
    braille: bool

    @property
    def dots(self) -> tuple[int, int]:
        """Return how many dots a character has from top to bottom, and from left to right."""
        return (4, 2) if self.braille else (1, 1)

    @property
    def shape(self) -> tuple[int, int]:
        """Return how many dots there are from top to bottom, and from left to right."""
        return self.rows * self.dots[0], self.columns * self.dots[1]

    def across(self, x: Array) -> Array:
        """Return the columns of dots nearest to some x, 0 at the left."""
        first, last = self.x
        return np.rint((x - first) / (last - first) * (self.shape[1] - 1))

    def down(self, heights: Array) -> Array:
        """Return the rows of dots nearest to some heights, 0 at the top; NaN of NaN."""
        low, high = self.y
        return np.rint((high - heights) / (high - low) * (self.shape[0] - 1))

    def characters(self, dots: Dots) -> Dots:
        """Return dots by character: (rows, dots down, columns, dots across)."""
        return dots.reshape(self.rows, self.dots[0], self.columns, self.dots[1])


def line(name: str, points: Iterable[tuple[int, float | None]]) -> Line:
    """Return a curve through points (x, y), x ascending; a y of None leaves a gap."""
    pairs = np.array([(x, math.nan if y is None else y) for x, y in points], np.float64).reshape(-1, 2)
    return Line(name, pairs[:, 0], pairs[:, 1])


def draw(panel: Panel, *, width: int | None = None, height: int = 14, braille: bool | None = None) -> list[Text]:
    """Return the lines of a picture with axes and a legend; none where no curve has a point.

    A logarithmic y axis is used where the values are positive and span a factor of more than 20.

    Args:
        panel: Its lines, each with its own letter and colour, and its levels, which are dashed.
        width: Columns of the whole picture, at least 40; those of the terminal when left out.
        height: Rows of the canvas, at least 4.
        braille: Draw with braille characters, not with letters in pure ASCII; left out, where stdout has them.
    """
    width, braille = width or console().width, can_show("⣿") if braille is None else braille
    points = [_points(one) for one in panel.lines]
    levels = [level.value for level in panel.levels]
    x, y = np.concatenate([*points, np.empty((0, 2))]).T
    values = [*y[np.isfinite(y)].tolist(), *levels]
    if len(values) == len(levels):
        return []
    low, high = min(values), max(values)
    is_log = panel.y.log and low > 0 and high / low > _LOG_FROM
    limits = (math.log10(low), math.log10(high)) if is_log else _widened(low, high)
    first, last = int(x.min()), int(x.max())
    frame = _Frame((first, max(last, first + 1)), limits, width - _GUTTER - _EDGE, height, braille)
    dots = [_curve_dots(frame, one[:, 0], np.log10(one[:, 1]) if is_log else one[:, 1]) for one in points]
    dashes = np.zeros(frame.shape, bool)
    heights = np.log10(levels) if is_log else np.array(levels)
    dashes[frame.down(heights).astype(int)] = np.arange(frame.shape[1]) // frame.dots[1] % 2 == 0
    x_label = panel.x.label.partition(":")[0]
    return [
        Text(f"{printable(panel.y.label)} over {x_label}s{', log scale' if is_log else ''}"),
        *_with_y_axis(frame, _canvas(frame, dots, dashes), is_log=is_log),
        *_x_axis(frame, x_label),
        *_legend(panel, width, braille=braille),
    ]


def _points(curve: Line) -> Array:
    """Return the points as (points, 2), NaN where there is nothing to draw."""
    points = np.column_stack([np.asarray(curve.x, np.float64), np.asarray(curve.y, np.float64)])
    points[~(np.abs(points[:, 1]) <= _LARGEST), 1] = math.nan
    return points


def _widened(low: float, high: float) -> tuple[float, float]:
    """Return the limits, apart even where all values are the same."""
    room = 0.0 if high - low > 1 / _LARGEST else abs(low) * 0.1 or 0.5
    return low - room, high + room


def _curve_dots(frame: _Frame, x: Array, heights: Array) -> Dots:
    """Return which dots a curve covers, (rows, columns)."""
    if not x.size:
        return np.zeros(frame.shape, bool)
    rows, columns = frame.shape
    low = np.interp(np.linspace(*frame.x, columns), x, heights, left=math.nan, right=math.nan)
    high, at = low.copy(), frame.across(x).astype(int)
    np.fmin.at(low, at, heights)  # no peak between two columns is lost
    np.fmax.at(high, at, heights)
    top, bottom = frame.down(high), frame.down(low)
    start, end = top.copy(), bottom.copy()
    start[1:] = np.fmin(top[1:], bottom[:-1] + 1)  # a steep line has no holes
    end[1:] = np.fmax(bottom[1:], top[:-1] - 1)
    row = np.arange(rows)[:, None]
    return np.asarray((start <= row) & (row <= end) & ~np.isnan(top))


def _canvas(frame: _Frame, dots: Sequence[Dots], dashes: Dots) -> list[Text]:
    """Return the rows of the canvas, from the top."""
    covered = [np.asarray(frame.characters(one).any((1, 3))) for one in dots]
    drawn = frame.characters(np.asarray(np.any([dashes, *dots], axis=0)))
    bits = (drawn * _BITS[: frame.dots[0], None, : frame.dots[1]]).sum((1, 3))
    ends = [max(np.flatnonzero(one.any(0)).tolist(), default=-1) for one in covered]
    lines = []
    for row in range(frame.rows):
        line: list[tuple[str, str]] = []
        for column in range(frame.columns):
            here = [number for number, one in enumerate(covered) if one[row, column]]
            named = here
            if frame.braille:  # a letter here and there, once in a column
                placed = [one for one in here if _has_letter(column, one, len(dots), ends[one])]
                named = [one for one in placed if row == covered[one][:, column].argmax()]
            character = (chr(0x2800 + bits[row, column]) if frame.braille else "-") if bits[row, column] else " "
            if named:  # where several curves meet, another one in each column
                here = [named[column % len(named)]]
                character = ascii_letters[here[0]]
            line.append((character, _colour(here[-1]) if here else ""))
        runs = [("".join(character for character, _ in run), style) for style, run in groupby(line, lambda one: one[1])]
        lines.append(Text.assemble(*runs))
    return lines


def _has_letter(column: int, number: int, count: int, end: int) -> bool:
    return column == end or (column + 2 + number * _LETTER_EVERY // count) % _LETTER_EVERY == 0


def _with_y_axis(frame: _Frame, rows: Sequence[Text], *, is_log: bool) -> list[Text]:
    """Return the rows of the canvas after the y axis, with its lowest, middle and highest value."""
    heights = np.linspace(*frame.y, 3)
    values = [f"{10**one if is_log else one:.4g}" for one in heights]
    named = dict(zip((frame.down(heights) // frame.dots[0]).tolist(), values, strict=True))
    bar, notch = (" │", " ┤") if frame.braille else (" |", " +")
    lines = [
        Text(f"{named.get(number, ''):>{_GUTTER}}{notch if number in named else bar}").append_text(row)
        for number, row in enumerate(rows)
    ]
    for line in lines:
        line.rstrip()
    return lines


def _x_axis(frame: _Frame, label: str) -> list[Text]:
    """Return the x axis, and a line with its label and its first, middle and last value."""
    first, last = frame.x
    start, middle, end = (f"{value:,}" for value in (first, (first + last) // 2, last))
    before = frame.columns // 2 - len(middle) // 2
    numbers = start
    if last - first > 1 and len(start) < before and before + len(middle) + len(end) < frame.columns:
        numbers = f"{start:<{before}}{middle}"
    bar, corner = ("─", " └") if frame.braille else ("-", " +")
    return [
        Text(f"{'':{_GUTTER}}{corner}{bar * frame.columns}"),
        Text(f"{label:>{_GUTTER}}  {numbers:<{frame.columns - len(end)}}{end}"),
    ]


def _legend(panel: Panel, width: int, *, braille: bool) -> list[Text]:
    entries = [
        Text(f"{letter} {printable(one.name)}{'' if len(one.x) else ' (no record)'}", style=_colour(number))
        for number, (letter, one) in enumerate(zip(ascii_letters, panel.lines, strict=False))
    ]
    entries += [Text(f"{'┄┄' if braille else '- -'} {level.label}") for level in panel.levels]
    lines = [Text(" " * _GUTTER)]
    for entry in entries:
        if len(lines[-1].plain.strip()) and lines[-1].cell_len + 2 + entry.cell_len > width:
            lines.append(Text(" " * _GUTTER))
        lines[-1].append("  ").append_text(entry)
    return lines


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def sparkline(values: Sequence[float], width: int = 48) -> str:
    """Return a one-line curve of the newest values, highest at the top.

    Example:
        >>> sparkline([0.0, 1.0, 0.5])
        '▁█▅'
    """
    shown = [value for value in values if math.isfinite(value)][-width:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    scale = 7 / (high - low) if high > low else 0.0
    return "".join("▁▂▃▄▅▆▇█"[round((value - low) * scale)] for value in shown)
