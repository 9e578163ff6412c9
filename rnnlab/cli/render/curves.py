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
class Curve:
    """Points to be joined.

    Args:
        label: Its name in the legend.
        points: (x, y), x whole and ascending; y is None where it was not finite, which leaves a gap.
    """

    label: str
    points: Sequence[tuple[int, float | None]]


@final
@dataclass(frozen=True)
class Level:
    """A value for comparison, drawn as a dashed line.

    Args:
        label: Its name in the legend.
        value: Its place on the y axis.
    """

    label: str
    value: float


@final
@dataclass(frozen=True)
class _Frame:
    """What the canvas covers.

    Args:
        x: The first and the last value on the x axis, different.
        y: The lowest and the highest on the y axis, different; as powers of ten where it is logarithmic.
        columns, rows: Characters from left to right, and from top to bottom.
        dots: Dots from left to right and from top to bottom in a character.
        logarithmic: Whether heights are the decimal logarithms of values.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    columns: int
    rows: int
    dots: tuple[int, int]
    logarithmic: bool

    def height(self, value: float | None) -> float:
        """Return the height of a value on the y axis; NaN if it cannot be drawn."""
        if value is None or abs(value) > _LARGEST:
            return math.nan
        return math.log10(value) if self.logarithmic else value

    def dot_columns(self, x: Array) -> NDArray[np.int64]:
        """Return the columns of dots, 0 at the left, nearest to some x."""
        return _nearest(x, self.x, self.columns * self.dots[0])

    def dot_rows(self, heights: Array) -> NDArray[np.int64]:
        """Return the rows of dots, 0 at the bottom, nearest to some heights."""
        return _nearest(heights, self.y, self.rows * self.dots[1])

    def column(self, x: float) -> int:
        """Return the column of characters that holds x."""
        return int(self.dot_columns(np.array([x]))[0]) // self.dots[0]

    def row(self, height: float) -> int:
        """Return the row of characters, 0 at the top, that holds a height."""
        return self.rows - 1 - int(self.dot_rows(np.array([height]))[0]) // self.dots[1]


def _nearest(values: Array, limits: tuple[float, float], count: int) -> NDArray[np.int64]:
    low, high = limits
    return np.rint((values - low) / (high - low) * (count - 1)).astype(np.int64)


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
) -> list[Text]:
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
    values = [y for curve in curves for _, y in curve.points if y is not None and abs(y) <= _LARGEST]
    if not values:
        return []
    steps = [x for curve in curves for x, _ in curve.points]
    first, last = min(steps), max(steps)
    shown = values + [level.value for level in levels]
    logarithmic = may_log and min(shown) > 0 and max(shown) / min(shown) > _LOG_FROM
    heights = [math.log10(value) if logarithmic else value for value in shown]
    frame = _Frame(
        x=(first, max(last, first + 1)),
        y=_widened(min(heights), max(heights)),
        columns=width - _GUTTER - _EDGE,
        rows=height,
        dots=(2, 4) if braille else (1, 1),
        logarithmic=logarithmic,
    )
    title = Text(f"{y_label} over {x_label}s{', log scale' if logarithmic else ''}")
    rows = _with_y_axis(frame, _canvas(frame, curves, levels, braille=braille), braille=braille)
    return [title, *rows, *_x_axis(frame, x_label, braille=braille), *_legend(curves, levels, width, braille=braille)]


def _widened(low: float, high: float) -> tuple[float, float]:
    """Return the limits, apart even where all values are the same."""
    if high - low > 1 / _LARGEST:
        return low, high
    room = abs(low) * 0.1 or 0.5
    return low - room, high + room


def _canvas(frame: _Frame, curves: Sequence[Curve], levels: Sequence[Level], *, braille: bool) -> list[Text]:
    """Return the rows of the canvas, from the top."""
    across, down = frame.dots
    dots = [_curve_dots(frame, curve) for curve in curves]
    dashes = np.zeros((frame.rows * down, frame.columns * across), bool)
    for level in levels:
        row = frame.dot_rows(np.array([frame.height(level.value)]))[0]
        dashes[-1 - row] |= np.arange(frame.columns * across) // across % 2 == 0
    cells = [np.asarray(_in_cells(frame, one).any((1, 3))) for one in dots]
    bits = (_in_cells(frame, np.asarray(np.any([dashes, *dots], axis=0))) * _BITS[:down, None, :across]).sum((1, 3))
    ends = [frame.column(points[-1]) if (points := _drawn(curve)) else None for curve in curves]
    lines = []
    for row in range(frame.rows):
        line: list[tuple[str, str]] = []
        for column in range(frame.columns):
            here = [number for number, one in enumerate(cells) if one[row, column]]
            named = here
            if braille:  # a letter here and there, once in a column
                placed = [one for one in here if _has_letter(column, one, len(curves), ends[one])]
                named = [one for one in placed if row == cells[one][:, column].argmax()]
            character = (chr(0x2800 + bits[row, column]) if braille else "-") if bits[row, column] else " "
            if named:  # where several curves meet, another one in each column
                here = [named[column % len(named)]]
                character = ascii_letters[here[0]]
            line.append((character, _colour(here[-1]) if here else ""))
        lines.append(_joined(line))
    return lines


def _curve_dots(frame: _Frame, curve: Curve) -> Dots:
    """Return which dots a curve covers, (rows, columns); from the top."""
    rows, columns = frame.rows * frame.dots[1], frame.columns * frame.dots[0]
    dots = np.zeros((rows, columns), bool)
    if not curve.points:
        return dots
    x = np.array([x for x, _ in curve.points], np.float64)
    y = np.array([frame.height(y) for _, y in curve.points], np.float64)
    at = np.linspace(*frame.x, columns)
    low = np.interp(at, x, y, left=math.nan, right=math.nan)
    high = low.copy()
    np.fmin.at(low, frame.dot_columns(x), y)  # no peak between two columns is lost
    np.fmax.at(high, frame.dot_columns(x), y)
    last: tuple[int, int] | None = None
    for column in range(columns):
        if math.isnan(low[column]):
            last = None
            continue
        bottom, top = (int(row) for row in frame.dot_rows(np.array([low[column], high[column]])))
        first = (bottom, top)
        if last is not None:  # a steep line has no holes
            bottom, top = min(bottom, last[1] + 1), max(top, last[0] - 1)
        dots[rows - 1 - top : rows - bottom, column] = True
        last = first
    return dots


def _in_cells(frame: _Frame, dots: Dots) -> Dots:
    """Return the dots by character: (rows, dots down, columns, dots across)."""
    across, down = frame.dots
    return dots.reshape(frame.rows, down, frame.columns, across)


def _drawn(curve: Curve) -> list[int]:
    return [x for x, y in curve.points if y is not None and abs(y) <= _LARGEST]


def _has_letter(column: int, number: int, count: int, end: int | None) -> bool:
    return column == end or (column + 2 + number * _LETTER_EVERY // count) % _LETTER_EVERY == 0


def _joined(line: Iterable[tuple[str, str]]) -> Text:
    text = Text()
    for style, run in groupby(line, key=lambda cell: cell[1]):
        text.append("".join(character for character, _ in run), style=style)
    return text


def _with_y_axis(frame: _Frame, rows: Sequence[Text], *, braille: bool) -> list[Text]:
    """Return the rows of the canvas with the y axis and its numbers before them."""
    named = {frame.row(frame.height(tick)): f"{tick:.4g}" for tick in _y_ticks(frame)}
    bar, notch = (" │", " ┤") if braille else (" |", " +")
    gutters = [f"{named.get(number, ''):>{_GUTTER}}{notch if number in named else bar}" for number in range(len(rows))]
    lines = [Text(gutter).append_text(row) for gutter, row in zip(gutters, rows, strict=True)]
    for line in lines:
        line.rstrip()
    return lines


def _x_axis(frame: _Frame, label: str, *, braille: bool) -> list[Text]:
    """Return the lines below the canvas: the x axis, its label and its numbers."""
    most = min(frame.columns // 12, int(frame.x[1] - frame.x[0]))  # whole steps only
    ticks = {frame.column(tick): f"{tick:,.10g}" for tick in _ticks(*frame.x, most=most)}
    bar, notch, corner = ("─", "┬", " └") if braille else ("-", "+", " +")
    axis = "".join(notch if column in ticks else bar for column in range(frame.columns))
    numbers = [" "] * frame.columns
    for column, text in ticks.items():
        start = max(0, min(column - len(text) // 2, frame.columns - len(text)))
        if all(letter == " " for letter in numbers[max(0, start - 1) : start + len(text) + 1]):
            numbers[start : start + len(text)] = text
    blank = " " * _GUTTER
    return [Text(f"{blank}{corner}{axis}"), Text(f"{label:>{_GUTTER}}  {''.join(numbers)}".rstrip())]


def _y_ticks(frame: _Frame) -> list[float]:
    low, high = frame.y
    if not frame.logarithmic:
        return _ticks(low, high, most=max(2, frame.rows // 2))
    powers, most = range(math.floor(low), math.ceil(high) + 1), frame.rows // 2
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        ticks = [tick for tick in ticks if tick > 0 and low <= math.log10(tick) <= high]
        if len(ticks) <= most:
            return ticks
    return ticks[:: math.ceil(len(ticks) / most)]


def _ticks(low: float, high: float, *, most: int) -> list[float]:
    """Return at most about `most` round numbers between `low` and `high`, at equal steps of 1, 2 or 5 times 10ⁿ."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    # Whole multiples, rounded: sums of 0.1 would read 0.30000000000000004.
    return [round((first + number) * step, 12 - math.floor(math.log10(step))) for number in range(count)]


def _legend(curves: Sequence[Curve], levels: Sequence[Level], width: int, *, braille: bool) -> list[Text]:
    entries = [
        Text(f"{ascii_letters[number]} {curve.label}{'' if curve.points else ' (no record)'}", style=_colour(number))
        for number, curve in enumerate(curves)
    ]
    entries += [Text(f"{'┄┄' if braille else '- -'} {level.label}") for level in levels]
    lines = [Text(" " * _GUTTER)]
    for entry in entries:
        if len(lines[-1].plain.strip()) and lines[-1].cell_len + 2 + entry.cell_len > width:
            lines.append(Text(" " * _GUTTER))
        lines[-1].append("  ").append_text(entry)
    return lines


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]
