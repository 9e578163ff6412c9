"""A figure as data: what is drawn, on which axes, and its caption; `figures` and `reports` render it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.table import Table

# Okabe & Ito 2008, "Color universal design": distinct for every kind of colour vision, also on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GREY = -1  # the colour of what is there for orientation: baselines, the unit circle
DASHES = ("", "6 3", "1.5 2.5", "7 3 1.5 3")  # solid, dashed, dotted, dash-dotted: lengths of line and gap

# The middle of viridis (Smith & van der Walt 2015), from low to high: even steps of lightness, seen on light and dark.
SHADES = ("#3e4c8a", "#32648e", "#297a8e", "#21918c", "#22a884", "#44bf70", "#7ad151", "#a5c62a")

Numbers = Sequence[float] | NDArray[Any]


@final
@dataclass(frozen=True, slots=True)
class Axis:
    """One axis."""

    label: str  # what it measures, with its unit
    log: bool = False  # whether its scale is logarithmic
    percent: bool = False  # whether its values are shares, shown as percentages
    limits: tuple[float, float] | None = None  # its ends; those of the values when None
    ticks: Numbers = ()  # where it has ticks, if they are given
    tick_labels: Sequence[str] = ()  # what they are called


@final
@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Points in a plane, joined or not; a point whose x or y is not finite is a gap."""

    name: str  # its name in the legend; when empty, it is one of many thin lines and not in the legend
    # x, y: (N,) each
    x: Numbers
    y: Numbers
    colour: int | str = 0  # index into `COLOURS`, from 0 again after the last; or `GREY`; or a colour of `Scale.colour`
    dash: int | None = 0  # index into `DASHES`, likewise; None for points that are not joined
    marker: int | None = None  # whether and how points are marked: an index from 0 to 5, likewise
    # low, high: (N,) the ends of an interval around each y
    low: Numbers | None = None
    high: Numbers | None = None
    # whether the intervals are drawn as error bars; else as a band. Lines with bars are drawn side by side, a few
    # points apart, so that those with equal values can be distinguished
    bars: bool = False
    fill: float | None = None  # the y down to which the area is filled; None where it is not
    shown: bool = True  # whether it is drawn from the start; a page offers the others in its legend


@final
@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """A map of colours."""

    # x, y: (X,) and (Y,) centres of the cells
    x: Numbers
    y: Numbers
    values: NDArray[Any]  # (Y, X); NaN where there is none
    label: str  # what the colours mean
    limits: tuple[float | None, float | None] = (None, None)  # the values of the first and the last colour


@final
@dataclass(frozen=True, slots=True)
class Scale:
    """What the colours of lines mean that belong to increasing values of one quantity."""

    label: str  # the quantity, with its unit
    # low, high: the values of the first and the last of `SHADES`
    low: float
    high: float
    log: bool = False  # whether the colours are even steps of its logarithm
    ticks: Sequence[float] = ()  # the values that are written beside the colours; the ends when empty

    def colour(self, value: float) -> str:
        """Return the colour of a value.

        Example:
            >>> one = Scale("T", 10, 1000, log=True)
            >>> [one.colour(value) for value in (10, 1000)] == [SHADES[0], SHADES[-1]]
            True
        """
        share = self.share(value) * (len(SHADES) - 1)
        first = min(int(share), len(SHADES) - 2)
        pair = zip(*(bytes.fromhex(SHADES[n][1:]) for n in (first, first + 1)), strict=True)
        return "#" + bytes(round(a + (b - a) * (share - first)) for a, b in pair).hex()

    def share(self, value: float) -> float:
        """Return the place of a value between the ends, from 0 to 1."""
        low, high, at = (log(one) if self.log else one for one in (self.low, self.high, value))
        return min(1.0, max(0.0, (at - low) / (high - low))) if high > low else 0.0


@final
@dataclass(frozen=True, slots=True)
class Level:
    """A straight line for reference, labelled where it is drawn."""

    value: float  # where it crosses the axis
    label: str = ""  # what it is
    axis: Literal["x", "y"] = "y"  # the axis that it crosses
    colour: int = GREY  # index into `COLOURS`, or `GREY`
    dash: int = 2  # index into `DASHES`


@final
@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One pair of axes and what is drawn on them."""

    x: Axis
    y: Axis
    lines: Sequence[Line] = ()
    levels: Sequence[Level] = ()
    heat: Heat | None = None
    scale: Scale | None = None  # what the colours of the lines mean, where they are values of one quantity
    title: str = ""  # what it shows, where a figure has several panels
    note: str = ""  # what the legend adds, for example what the bands mean
    is_square: bool = False  # whether a unit is equally long on both axes


@final
@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """Panels that show one thing."""

    name: str  # plain letters and dashes
    title: str  # what it shows
    caption: str  # what a reader who has never seen such a figure should look for
    panels: Sequence[Panel]  # at least one
    table: Table | None = None  # the same as a table, for a page
    note: str = ""  # what of the runs it shows: which weights, which are left out


def stairs(edges: Numbers, values: Numbers) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return x and y, (2 N,) each, of the outline of a histogram of N values between N + 1 edges.

    Example:
        >>> x, y = stairs([0, 1, 2], [5, 3])
        >>> x.tolist(), y.tolist()
        ([0, 1, 1, 2], [5, 5, 3, 3])
    """
    return np.repeat(np.asarray(edges), 2)[1:-1], np.repeat(np.asarray(values), 2)
