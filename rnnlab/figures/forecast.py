"""The figure of forecasts: what was, what the network expected, and what it expects past the end of the file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.figure import GREY, Axis, Figure, Level, Line, Panel
from rnnlab.inspection.predict import Forecasts, SeriesForecast

_MOST_SERIES = 4
_MOST_ROWS = 240
_TICKS = 6
_CALLED = {"validation": "validation", "test": "test", "ahead": "end of file"}


def figure(found: Forecasts) -> Figure:
    """Return a panel per series, of four at most: the last rows, and those past the end."""
    shown = found.series[:_MOST_SERIES]
    rows = f"{found.horizon} row{'s' * (found.horizon != 1)} ahead"
    title = f"{found.target}: forecasts {rows}, from {found.timesteps} rows each"
    left_out = len(found.series) - len(shown)
    notes = [f"{found.csv.name}; {found.run.label}, {found.weights} weights (step {found.step:,})"]
    if any((one.parts == "ahead").sum() > found.horizon for one in shown):
        notes += [f"past {rows} its own forecasts are read"]
    notes += [f"{left_out:,} more series are not drawn"] if left_out else []
    caption = (
        "The column of the file and, for each row, the forecast that the network made without seeing it. Past the end "
        "of the file there is only the forecast. All values are in the units of the file."
    )
    return Figure("forecast", title, caption, [_panel(found, one) for one in shown], note="; ".join(notes))


def _panel(found: Forecasts, one: SeriesForecast) -> Panel:
    count = len(one.truth)
    first = max(0, count - _MOST_ROWS)
    rows = np.arange(first, count)
    ahead = np.flatnonzero(one.parts == "ahead")
    is_ahead = one.parts[first:] == "ahead"
    forecast = one.forecast[first:]
    few = len(ahead) <= 30
    lines = [
        Line(f"{found.target}, in the file", rows, one.truth[first:], GREY),
        Line("forecast", rows[~is_ahead], forecast[~is_ahead], 0),
        Line("forecast past the end", rows[is_ahead], forecast[is_ahead], 1, marker=0 if few else None),
    ]
    starts = {part: int(np.flatnonzero(one.parts == part)[0]) for part in _CALLED if (one.parts == part).any()}
    levels = [Level(row - 0.5, _CALLED[part], "x") for part, row in starts.items() if row > first]
    label = found.time if one.times is not None else f"row of the {'series' if one.name else 'file'}, from 0"
    ticks = np.unique(np.linspace(first, count - 1, _TICKS).astype(int)) if one.times is not None else ()
    labels = time_labels(one.times)[ticks] if one.times is not None else ()
    return Panel(
        Axis(label, ticks=ticks, tick_labels=tuple(labels)),
        Axis(f"{found.target}, in units of the file"),
        lines,
        levels,
        title=one.name,
    )


def time_labels(times: NDArray[Any]) -> NDArray[Any]:
    """Return times as text, no finer than they are; empty where one is not known.

    Example:
        >>> time_labels(np.array(["2020-01-01", "2020-02-01"], "datetime64[ns]")).tolist()
        ['2020-01', '2020-02']
        >>> time_labels(np.array([1959.0, 1960.0, np.nan])).tolist()
        ['1959', '1960', '']
    """
    if times.dtype.kind != "M":
        return np.array(["" if np.isnan(one) else f"{one:g}" if abs(one) < 1e6 else f"{one:.0f}" for one in times])
    known = times[~np.isnat(times)]
    units: Sequence[str] = ("Y", "M", "D", "m", "s", "ns")
    unit: Any = next(one for one in units if (known.astype(f"datetime64[{one}]").astype(times.dtype) == known).all())
    texts = np.datetime_as_string(times, unit=unit)
    return np.array(["" if text == "NaT" else text.replace("T", " ") for text in texts])
