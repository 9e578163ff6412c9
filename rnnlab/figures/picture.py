"""A figure drawn by matplotlib as PNG, PDF or SVG: the same bytes for the same figure."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import numpy as np

from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.figure import COLOURS, DASHES, GREY, Axis, Figure, Heat, Level, Line, Panel
from rnnlab.core.text import visible

ENDINGS = ("png", "pdf", "svg")

_MARKERS = "osD^xv"
_GREY = "#6e7781"
_DPI = 160
_MOST_ROWS = 2  # of a single column of panels
_STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e7ec",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.scale_dashes": False,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "rnnlab",
    "pdf.fonttype": 42,
}
# No date, so that the same figure is the same file.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": "rnnlab"},
    "svg": {"Date": None, "Creator": "rnnlab"},
}
_MOST_INSIDE = 5  # entries of a legend that fit into the axes
_RIGHT: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5), "fontsize": 8}


def picture(figure: Figure, ending: str) -> bytes:
    """Return a figure as the bytes of a file.

    Args:
        figure: The figure.
        ending: One of `ENDINGS`.

    Raises:
        EnvironmentFault: matplotlib is not installed.
    """
    out = io.BytesIO()
    with drawn(figure) as canvas:
        canvas.savefig(out, format=ending, metadata=_METADATA[ending])
    return out.getvalue()


@contextmanager
def drawn(figure: Figure) -> Iterator[Any]:
    """Give a matplotlib figure, which can be saved within the context.

    Raises:
        EnvironmentFault: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        raise EnvironmentFault("figures need the package matplotlib", hint="pip install 'rnnlab[plots]'") from error
    settings: Any = {**mpl.rcParamsDefault, "backend": "agg", **_STYLE}
    with mpl.rc_context(settings):
        columns = 1 if len(figure.panels) <= _MOST_ROWS else 2
        rows = -(-len(figure.panels) // columns)
        canvas = Canvas(figsize=(4.8 + 1.6 * columns, 4.0 if rows == 1 else 0.4 + 2.4 * rows), dpi=_DPI)
        places = canvas.subplots(rows, columns, squeeze=False).flat
        for axes, panel in zip(places, figure.panels, strict=False):
            _draw(canvas, axes, panel)
        for axes in places[len(figure.panels) :]:
            axes.set_visible(False)
        if len(figure.panels) == 1 and not figure.panels[0].title:
            canvas.axes[0].set_title(_text(figure.title), loc="left")
        yield canvas


def _draw(canvas: Any, axes: Any, panel: Panel) -> None:
    for name, axis in (("x", panel.x), ("y", panel.y)):
        _set_axis(axes, name, axis)
    if panel.heat:
        _draw_heat(canvas, axes, panel.heat)
    for line in panel.lines:
        if line.shown:
            _draw_line(axes, line, on_heat=panel.heat is not None)
    for level, at_right in zip(panel.levels, cycle((True, False))):
        _draw_level(axes, level, at_right=at_right)
    if panel.is_square:
        axes.set_aspect("equal")
    axes.set_title(_text(panel.title), loc="left", fontsize=10)
    if panel.note:
        axes.plot([], [], " ", label=_text(panel.note))
    if entries := axes.get_legend_handles_labels()[0]:
        is_crowded = len(canvas.axes) > 1 or len(entries) > _MOST_INSIDE
        axes.legend(**(_RIGHT if is_crowded else {}))


def _set_axis(axes: Any, name: str, axis: Axis) -> None:
    own = getattr(axes, f"{name}axis")
    if axis.log:
        own._set_axes_scale("log")
    own.set_label_text(_text(axis.label))
    if axis.percent:
        own.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    if len(axis.ticks):
        labels = [_text(label) for label in axis.tick_labels] or None
        own.set_ticks(axis.ticks, labels)
        own.set_ticks([], minor=True)
    if axis.limits:
        getattr(axes, f"set_{name}lim")(axis.limits)


def _draw_line(axes: Any, line: Line, *, on_heat: bool) -> None:
    colour = _colour(line.colour)
    marker = None if line.marker is None else _MARKERS[line.marker % len(_MARKERS)]
    look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": _dash(line.dash), "markersize": 5}
    if line.dash is None:
        look |= {"alpha": 0.8, "fillstyle": ("full", "none")[(line.marker or 0) % 2]}
    if on_heat:  # seen on every colour
        look |= {"markerfacecolor": "white", "markeredgecolor": "black", "markersize": 4}
    if not line.name and line.dash is not None:
        look |= {"linewidth": 0.8, "alpha": 0.35}
    if line.low is not None and line.high is not None:
        if line.bars:
            lengths = np.abs(np.array([line.low, line.high]) - np.asarray(line.y))
            axes.errorbar(line.x, line.y, lengths, color=colour, linestyle="", linewidth=1, capsize=2)
        else:
            axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.16, linewidth=0)
    axes.plot(line.x, line.y, label=_text(line.name) if line.name else "_", **look)


def _draw_heat(canvas: Any, axes: Any, heat: Heat) -> None:
    low, high = heat.limits
    mesh = axes.pcolormesh(heat.x, heat.y, heat.values, shading="nearest", cmap="cividis", vmin=low, vmax=high)
    canvas.colorbar(mesh, ax=axes, label=_text(heat.label))
    axes.grid(visible=False)


def _draw_level(axes: Any, level: Level, *, at_right: bool) -> None:
    is_upright = level.axis == "x"
    draw = axes.axvline if is_upright else axes.axhline
    draw(level.value, color=_colour(level.colour), linestyle=_dash(level.dash), linewidth=1.2, zorder=3)
    # On the line and on white ground, so that no other line makes it illegible.
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    look: dict[str, Any] = {"fontsize": 8, "color": _colour(level.colour), "bbox": ground}
    if is_upright:
        look |= {"xytext": (3, 0), "rotation": 90, "ha": "left", "va": "bottom"}
        place, coordinates = (level.value, 0.02), ("data", "axes fraction")
    else:
        look |= {"xytext": (0, 3), "ha": "right" if at_right else "left", "va": "bottom"}
        place, coordinates = (0.995 if at_right else 0.005, level.value), ("axes fraction", "data")
    axes.annotate(_text(level.label), place, xycoords=coordinates, textcoords="offset points", **look)


def _colour(number: int) -> str:
    return _GREY if number == GREY else COLOURS[number % len(COLOURS)]


def _dash(number: int | None) -> Any:
    if number is None:
        return ""
    lengths = tuple(map(float, DASHES[number % len(DASHES)].split()))
    return (0, lengths) if lengths else "-"


def _text(words: str) -> str:
    """Return text that matplotlib shows as it is: `$` begins no formula, `_` hides no legend entry."""
    shown = visible(words).replace("$", r"\$")
    return f"\u200b{shown}" if shown.startswith("_") else shown
