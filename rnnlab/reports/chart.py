"""A chart as plain data for plotly.js, with what a reader needs who cannot see it: a caption and a table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, final

# Okabe & Ito 2008, "Color universal design": told apart by every kind of colour vision; yellow is left out on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F")
DASHES = ("solid", "dash", "dot", "dashdot")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")


@final
@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        name: Unique in its page; plain letters and dashes.
        title: What it shows.
        caption: What a reader who has never seen such a chart should look for.
        traces: As plotly.js takes them.
        x, y: Axes as plotly.js takes them.
        head, rows: The same as a table.
        may_log: Whether the y axis may be switched to a logarithmic scale and back.
    """

    name: str
    title: str
    caption: str
    traces: Sequence[Mapping[str, Any]]
    x: Mapping[str, Any]
    y: Mapping[str, Any]
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    may_log: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)

    def figure(self) -> dict[str, Any]:
        """Return what plotly.js draws; numbers that are not finite are gaps."""
        layout = {"xaxis": {"automargin": True, **self.x}, "yaxis": {"automargin": True, **self.y}, **self.more}
        plain = _plain({"data": list(self.traces), "layout": layout})
        assert isinstance(plain, dict)
        return plain


def line(name: str, x: Iterable[Any], y: Iterable[Any], place: int, **more: Any) -> dict[str, Any]:
    """Return a line of points; `place` chooses colour and dash."""
    style = {"color": COLOURS[place % len(COLOURS)], "dash": DASHES[place // len(COLOURS) % len(DASHES)], "width": 2}
    return {"type": "scatter", "mode": "lines", "name": name, "x": list(x), "y": list(y), "line": style, **more}


def band(x: Sequence[Any], low: Sequence[Any], high: Sequence[Any], place: int, **more: Any) -> dict[str, Any]:
    """Return the area between two lines, in the colour of `line`."""
    red, green, blue = (int(COLOURS[place % len(COLOURS)][at : at + 2], 16) for at in (1, 3, 5))
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*x, *reversed(list(x))],
        "y": [*high, *reversed(list(low))],
        "fill": "toself",
        "fillcolor": f"rgba({red},{green},{blue},0.18)",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
        **more,
    }


def told(value: Any) -> str:
    """Return a number for a table."""
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return "—"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


def power(value: float) -> str:
    """Return a share for a sentence: as percent, or as a power of ten where it is small.

    Example:
        >>> power(1.36), power(0.75), power(0.0123), power(2.1e-33)
        ('136 %', '75 %', '1.2 %', '2 · 10⁻³³')
    """
    if not isfinite(value):
        return "—"
    if value >= 1e-3 or value == 0:
        return f"{100 * value:,.0f} %" if value >= 1 else f"{100 * value:.2g} %"
    digit, _, exponent = f"{value:.0e}".partition("e")
    return f"{digit} · 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.6g}") if isfinite(value) else None
    return value
