"""The look that all pictures share, and their bytes: the same for the same content."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.text import visible

ENDINGS = ("png", "pdf", "svg")
# Okabe & Ito 2008, "Color universal design": told apart by every kind of colour vision; the dashes do it in grey print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", ":", "-.")
MARKERS = "osD^xv*"
GREY = "#6e7781"

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
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "rnnlab",
    "pdf.fonttype": 42,
}
# No date, so that the same picture is the same file.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": "rnnlab"},
    "svg": {"Date": None, "Creator": "rnnlab"},
}
_DPI = 160


@contextmanager
def _styled() -> Iterator[None]:
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise EnvironmentFault("pictures need the package matplotlib", hint="pip install 'rnnlab[plots]'") from error
    settings: Any = {**mpl.rcParamsDefault, "backend": "agg", **_STYLE}
    with mpl.rc_context(settings):
        yield


def image(ending: str, fill: Callable[[Any], None], *, size: tuple[float, float] = (6.4, 4.0)) -> bytes:
    """Return a picture.

    Args:
        ending: One of `ENDINGS`.
        fill: Draws on a matplotlib `Figure`.
        size: Width and height in inches.

    Raises:
        EnvironmentFault: matplotlib is not installed.
    """
    with _styled():
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, dpi=_DPI)
        fill(figure)
        out = io.BytesIO()
        figure.savefig(out, format=ending, metadata=_METADATA[ending])
        return out.getvalue()


def text(words: str) -> str:
    """Return text of a user that matplotlib shows as it is: `$` begins no formula, `_` hides no legend entry."""
    shown = visible(words).replace("$", r"\$")
    return f"\u200b{shown}" if shown.startswith("_") else shown


def named(axes: Any, words: str, value: float) -> None:
    """Write what a horizontal line is, on it at the right, so that no other line makes it illegible."""
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    at = {"xycoords": ("axes fraction", "data"), "xytext": (0, 3), "textcoords": "offset points"}
    axes.annotate(text(words), (0.995, value), ha="right", va="bottom", fontsize=8, color=GREY, bbox=ground, **at)


def style(place: int) -> dict[str, Any]:
    """Return colour and dash of the line at a place; seven colours, then the next dash."""
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": DASHES[place // len(COLOURS) % len(DASHES)]}
