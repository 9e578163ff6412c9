"""A figure drawn by matplotlib as PNG, PDF or SVG: the same bytes for the same figure."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from textwrap import fill
from typing import Any

import numpy as np

from rnnlab.core.figure import COLOURS, DASHES, GREY, SHADES, Axis, Figure, Heat, Level, Line, Panel, Scale
from rnnlab.core.packages import missing_package
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
_NOTE = 100  # letters in a line below a figure
_LABEL = 32  # letters of a line of an axis label
_DODGE = 5  # points between lines with bars
_MOST_INSIDE = 5  # entries of a legend that fit into the axes
_RIGHT: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5), "fontsize": 8}


def picture(figure: Figure, ending: str) -> bytes:
    """Return a figure as the bytes of a file with one of the `ENDINGS`.

    Raises:
        EnvironmentFault: matplotlib is not installed.
    """
    out = io.BytesIO()
    with drawn(figure) as canvas:
        canvas.savefig(out, format=ending, metadata=_METADATA[ending])
    return out.getvalue()


@contextmanager
def drawn(figure: Figure) -> Iterator[Any]:
    """Give a matplotlib figure, which can be saved within the context; raises as `picture`."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        raise missing_package("figures need the package matplotlib", extra="plots") from error
    settings: Any = {**mpl.rcParamsDefault, "backend": "agg", **_STYLE}
    with mpl.rc_context(settings):
        columns = 1 if len(figure.panels) <= _MOST_ROWS else 2
        rows = -(-len(figure.panels) // columns)
        canvas = Canvas(figsize=(2.8 + 3.6 * columns, 4.0 if rows == 1 else 0.4 + 2.8 * rows), dpi=_DPI)
        places = canvas.subplots(rows, columns, squeeze=False).flat
        for axes, panel in zip(places, figure.panels, strict=False):
            _draw(canvas, axes, panel)
        drawn_on = canvas.axes[: len(figure.panels)]
        _add_legends(canvas, drawn_on)
        for axes, panel in zip(drawn_on, figure.panels, strict=True):
            if panel.scale:
                _draw_scale(canvas, axes, panel.scale)
        for axes in places[len(figure.panels) :]:
            axes.set_visible(False)
        if len(figure.panels) == 1 and not figure.panels[0].title:
            canvas.axes[0].set_title(_text(figure.title), loc="left")
        if note := "; ".join(filter(None, (figure.note, _left_out(figure)))):
            canvas.supxlabel(fill(_text(note), _NOTE), fontsize=8, color=_GREY, x=0.99, ha="right")
        yield canvas


def _left_out(figure: Figure) -> str:
    """Return how many lines are not drawn, which a page offers in its legend; empty where all are."""
    lines = [line for panel in figure.panels for line in panel.lines if line.name]
    hidden = sum(not line.shown for line in lines)
    return f"{len(lines) - hidden} of {len(lines)} lines are drawn" if hidden else ""


def _draw(canvas: Any, axes: Any, panel: Panel) -> None:
    for name, axis in (("x", panel.x), ("y", panel.y)):
        _set_axis(axes, name, axis)
    if panel.heat:
        _draw_heat(canvas, axes, panel.heat)
    barred = [line for line in panel.lines if line.shown and line.bars]
    for line in panel.lines:
        if line.shown:
            aside = _DODGE * (barred.index(line) - (len(barred) - 1) / 2) if line in barred else 0.0
            has_entry = bool(line.name) and (panel.scale is None or line.dash is None)
            _draw_line(axes, line, on_heat=panel.heat is not None, on_legend=has_entry, aside=aside)
    for level, at_right in zip(panel.levels, cycle((True, False))):
        _draw_level(axes, level, at_right=at_right)
    if panel.is_square:
        axes.set_aspect("equal")
    axes.set_title(_text(panel.title), loc="left", fontsize=10)
    if panel.note:
        axes.plot([], [], " ", label=_text(panel.note))


def _add_legends(canvas: Any, panels: Sequence[Any]) -> None:
    """Add one legend beside all panels where a name looks the same in all; else one for each panel."""
    entries = [list(zip(*axes.get_legend_handles_labels(), strict=True)) for axes in panels]
    looks: dict[str, set[tuple[str, str]]] = {}
    known: dict[str, Any] = {}
    for handle, label in (entry for one in entries for entry in one):
        looks.setdefault(label, set()).add((str(handle.get_color()), str(handle.get_marker())))
        known.setdefault(label, handle)
    by_look = [look for found in looks.values() for look in found]
    if len(panels) > 1 and len(by_look) == len(set(by_look)) == len(known) > 0:
        canvas.legend(known.values(), known, loc="outside right upper", fontsize=8)
        return
    for axes, own in zip(panels, entries, strict=True):
        if own:
            is_crowded = len(panels) > 1 or len(own) > _MOST_INSIDE or axes.get_aspect() == 1
            axes.legend(**(_RIGHT if is_crowded else {}))


def _set_axis(axes: Any, name: str, axis: Axis) -> None:
    own = getattr(axes, f"{name}axis")
    if axis.log:
        own._set_axes_scale("log")
    own.set_label_text(fill(_text(axis.label), _LABEL) if name == "y" else _text(axis.label))
    if axis.percent:
        own.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    if len(axis.ticks):
        labels = [_text(label) for label in axis.tick_labels] or None
        own.set_ticks(axis.ticks, labels)
        own.set_ticks([], minor=True)
    if axis.limits:
        getattr(axes, f"set_{name}lim")(axis.limits)


def _draw_line(axes: Any, line: Line, *, on_heat: bool, on_legend: bool, aside: float) -> None:
    from matplotlib.transforms import ScaledTranslation

    colour = _colour(line.colour)
    marker = None if line.marker is None else _MARKERS[line.marker % len(_MARKERS)]
    look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": _dash(line.dash), "markersize": 5}
    if line.dash is None:
        look |= {"alpha": 0.8, "fillstyle": ("full", "none")[(line.marker or 0) % 2]}
    if on_heat:  # seen on every colour
        look |= {"markerfacecolor": "white", "markeredgecolor": "black", "markersize": 4}
    if not line.name and line.dash is not None:
        look |= {"linewidth": 0.8, "alpha": 0.35}
    place = axes.transData + ScaledTranslation(aside / 72, 0, axes.figure.dpi_scale_trans)
    axes.update_datalim(np.column_stack([line.x, line.y]))  # not known to matplotlib from what has a place of its own
    axes.autoscale_view()
    if line.fill is not None:
        axes.fill_between(line.x, line.fill, line.y, color=colour, alpha=0.35, linewidth=0)
    if line.low is not None and line.high is not None:
        if line.bars:
            axes.vlines(line.x, line.low, line.high, color=colour, linewidth=1, transform=place)
        else:
            axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.16, linewidth=0)
    axes.plot(line.x, line.y, label=_text(line.name) if on_legend else "_", transform=place, **look)


def _draw_scale(canvas: Any, axes: Any, scale: Scale) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize

    norm = (LogNorm if scale.log else Normalize)(scale.low, scale.high)
    colours = ScalarMappable(norm, LinearSegmentedColormap.from_list("shades", SHADES))
    ticks = list(scale.ticks or (scale.low, scale.high))
    bar = canvas.colorbar(colours, ax=axes, label=fill(_text(scale.label), _LABEL))
    bar.set_ticks(ticks, labels=[f"{tick:.3g}" for tick in ticks])
    bar.minorticks_off()


def _draw_heat(canvas: Any, axes: Any, heat: Heat) -> None:
    low, high = heat.limits
    mesh = axes.pcolormesh(heat.x, heat.y, heat.values, shading="nearest", cmap="cividis", vmin=low, vmax=high)
    canvas.colorbar(mesh, ax=axes, label=fill(_text(heat.label), _LABEL))
    axes.grid(visible=False)


def _draw_level(axes: Any, level: Level, *, at_right: bool) -> None:
    is_upright = level.axis == "x"
    draw = axes.axvline if is_upright else axes.axhline
    draw(level.value, color=_colour(level.colour), linestyle=_dash(level.dash), linewidth=1.2, zorder=3)
    # On the line and on light ground: no other line makes it illegible, nor is one hidden.
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.7}
    look: dict[str, Any] = {"fontsize": 8, "color": _colour(level.colour), "bbox": ground}
    if is_upright:
        look |= {"xytext": (3, 0), "rotation": 90, "ha": "left", "va": "bottom"}
        place, coordinates = (level.value, 0.02), ("data", "axes fraction")
    else:
        look |= {"xytext": (0, 3), "ha": "right" if at_right else "left", "va": "bottom"}
        place, coordinates = (0.995 if at_right else 0.005, level.value), ("axes fraction", "data")
    axes.annotate(_text(level.label), place, xycoords=coordinates, textcoords="offset points", **look)


def _colour(number: int | str) -> str:
    if isinstance(number, str):
        return number
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
