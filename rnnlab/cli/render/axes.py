"""The frame of a picture in the terminal: where a value lies on the canvas, and the axes around it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from rich.text import Text

GUTTER = 9  # columns for the numbers beside the y axis
EDGE = 2  # columns for the axis itself


@final
@dataclass(frozen=True)
class Frame:
    """What the canvas covers.

    Args:
        x: The first and the last value on the x axis.
        y: The lowest and the highest on the y axis, as powers of ten where it is logarithmic.
        columns: Characters from left to right.
        rows: Characters from top to bottom.
        logarithmic: Whether heights are the decimal logarithms of values.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    columns: int
    rows: int
    logarithmic: bool

    def height(self, value: float) -> float:
        """Return where a value lies on the y axis."""
        return math.log10(value) if self.logarithmic else value

    @property
    def beyond(self) -> tuple[float, float]:
        """The limits that the canvas leaves out: a dot beyond the last x and the highest y."""
        (left, right), (low, high) = self.x, self.y
        return right + (right - left) / (2 * self.columns - 1), high + (high - low) / (4 * self.rows - 1)

    @property
    def dot(self) -> tuple[float, float]:
        """The distances between dots: two of them, side by side, in a column, and four in a row."""
        right, top = self.beyond
        return (right - self.x[0]) / (2 * self.columns), (top - self.y[0]) / (4 * self.rows)

    def column(self, x: float) -> int:
        """Return the column of the canvas that holds `x`."""
        return round((x - self.x[0]) / self.dot[0]) // 2

    def row(self, y: float) -> int:
        """Return the row of the canvas, 0 at the top, that holds the height `y`."""
        return self.rows - 1 - round((y - self.y[0]) / self.dot[1]) // 4

    def left(self, column: int) -> float:
        """Return the x of the left dots of a column."""
        return self.x[0] + 2 * column * self.dot[0]


def with_y_axis(frame: Frame, rows: "Sequence[Text]", *, braille: bool) -> "list[Text]":
    """Return the rows of the canvas with the y axis and its numbers before them."""
    from rich.text import Text

    named = {frame.row(frame.height(tick)): f"{tick:.4g}" for tick in _y_ticks(frame)}
    bar, notch = (" │", " ┤") if braille else (" |", " +")
    gutters = [f"{named.get(number, ''):>{GUTTER}}{notch if number in named else bar}" for number in range(len(rows))]
    lines = [Text(gutter).append_text(row) for gutter, row in zip(gutters, rows, strict=True)]
    for line in lines:
        line.rstrip()
    return lines


def x_axis(frame: Frame, label: str, *, braille: bool) -> list[str]:
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
    blank = " " * GUTTER
    return [f"{blank}{corner}{axis}", f"{label:>{GUTTER}}  {''.join(numbers)}".rstrip()]


def _y_ticks(frame: Frame) -> list[float]:
    low, high = frame.y
    if not frame.logarithmic:
        return _ticks(low, high, most=max(2, frame.rows // 3))
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
