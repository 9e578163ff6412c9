"""A figure as data: what is drawn, on which axes, and its caption; `figures` and `reports` render it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.table import Table

# Okabe & Ito 2008, "Color universal design": distinct for every kind of colour vision, also on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GREY = -1  # the colour of what is there for orientation: baselines, the unit circle
DASHES = ("", "6 3", "1.5 2.5", "7 3 1.5 3")  # solid, dashed, dotted, dash-dotted: lengths of line and gap

Numbers = Sequence[float] | NDArray[Any]


@final
@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Attributes:
        label: What it measures, with its unit.
        log: Whether its scale is logarithmic.
        percent: Whether its values are shares, shown as percentages.
        limits: Its ends; those of the values when None.
        ticks: Where it has ticks, if they are given.
        tick_labels: What they are called.
    """

    label: str
    log: bool = False
    percent: bool = False
    limits: tuple[float, float] | None = None
    ticks: Numbers = ()
    tick_labels: Sequence[str] = ()


@final
@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Points in a plane, joined or not; a point whose x or y is not finite is a gap.

    Attributes:
        name: Its name in the legend; when empty, it is one of many thin lines and not in the legend.
        x, y: (N,) each.
        colour: Index into `COLOURS`, from 0 again after the last; or `GREY`.
        dash: Index into `DASHES`, likewise; None for points that are not joined.
        marker: Whether and how points are marked: an index from 0 to 5, likewise.
        low, high: (N,) the ends of an interval around each y.
        bars: Whether the intervals are drawn as error bars; else as a band.
        shown: Whether it is drawn from the start; a page offers the others in its legend.
    """

    name: str
    x: Numbers
    y: Numbers
    colour: int = 0
    dash: int | None = 0
    marker: int | None = None
    low: Numbers | None = None
    high: Numbers | None = None
    bars: bool = False
    shown: bool = True


@final
@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """A map of colours.

    Attributes:
        x, y: (X,) and (Y,) centres of the cells.
        values: (Y, X); NaN where there is none.
        label: What the colours mean.
        limits: The values of the first and the last colour.
    """

    x: Numbers
    y: Numbers
    values: NDArray[Any]
    label: str
    limits: tuple[float | None, float | None] = (None, None)


@final
@dataclass(frozen=True, slots=True)
class Level:
    """A straight line for reference, labelled where it is drawn.

    Attributes:
        value: Where it crosses the axis.
        label: What it is.
        axis: The axis that it crosses.
        colour: Index into `COLOURS`, or `GREY`.
        dash: Index into `DASHES`.
    """

    value: float
    label: str = ""
    axis: Literal["x", "y"] = "y"
    colour: int = GREY
    dash: int = 2


@final
@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One pair of axes and what is drawn on them.

    Attributes:
        x, y: The axes.
        lines, levels, heat: What is drawn.
        title: What it shows, where a figure has several panels.
        note: What the legend adds, for example what the bands mean.
        is_square: Whether a unit is equally long on both axes.
    """

    x: Axis
    y: Axis
    lines: Sequence[Line] = ()
    levels: Sequence[Level] = ()
    heat: Heat | None = None
    title: str = ""
    note: str = ""
    is_square: bool = False


@final
@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """Panels that show one thing.

    Attributes:
        name: Plain letters and dashes.
        title: What it shows.
        caption: What a reader who has never seen such a figure should look for.
        panels: At least one.
        table: The same as a table, for a page.
    """

    name: str
    title: str
    caption: str
    panels: Sequence[Panel]
    table: Table | None = None


def stairs(edges: Numbers, values: Numbers) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return x and y, (2 N,) each, of the outline of a histogram.

    Args:
        edges: (N + 1,) bounds of the bins.
        values: (N,) heights.

    Example:
        >>> x, y = stairs([0, 1, 2], [5, 3])
        >>> x.tolist(), y.tolist()
        ([0, 1, 1, 2], [5, 5, 3, 3])
    """
    return np.repeat(np.asarray(edges), 2)[1:-1], np.repeat(np.asarray(values), 2)
